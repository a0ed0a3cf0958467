import Glibc
import Host

/// Starting other programs.
enum ProgramStart {
    /// Starts a program with the signals that programs are started with.
    ///
    /// This process waits for signals with them blocked, and ignores some; the other is not to. It has no other descriptors
    /// than 0, 1, 2 and those that it is given.
    ///
    /// - Parameters:
    ///   - program: Its path; a name alone is looked for in PATH.
    ///   - words: Its arguments, its own name first.
    ///   - hasOwnGroup: Whether what the terminal sends this process's group is not for it.
    ///   - prepare: Says which descriptors it gets.
    /// - Returns: The number of its process.
    /// - Throws: `ResourceError` when the system does not start it.
    static func start(
        _ program: String, _ words: [[UInt8]], hasOwnGroup: Bool = false,
        _ prepare: (UnsafeMutablePointer<posix_spawn_file_actions_t>) -> Void
    ) throws(ResourceError) -> pid_t {
        // Sound: both are made before they are used and destroyed after, and the strings live until the end.
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        unsafe prepare(&actions)
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGPIPE, SIGXFSZ] { unsafe sigaddset(&signals, number) }
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (hasOwnGroup ? POSIX_SPAWN_SETPGROUP : 0)
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        let strings = words.map(\.terminated)
        let arguments = unsafe strings.map { unsafe strdup($0) }
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var process: pid_t = 0
        let result = unsafe posix_spawnp(
            &process, ForeignText.cString(program), &actions, &attributes, arguments + [nil], environ)
        guard result == 0 else { throw ResourceError("a process", ErrorNumber(rawValue: result)) }
        return process
    }
}
