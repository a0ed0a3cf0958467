import Foundation
@testable import Host
import MiniVMM

/// A program that is about to be started by posix_spawn(3), with no signal blocked, and all that tests or their
/// runner may have changed as it is by default.
struct SpawnRequest: ~Copyable {
    private let command: [String]
    /// What is set in the environment besides what this process has.
    private let environment: [String: String]
    private var actions = posix_spawn_file_actions_t()
    private var attributes = posix_spawnattr_t()
    /// The highest descriptor that the program is to have.
    private var lastDescriptor: Int32 = 2

    init(_ command: [String], environment: [String: String] = [:]) throws {
        self.command = command
        self.environment = environment
        try Self.check("posix_spawn_file_actions_init", posix_spawn_file_actions_init(&actions))
        try Self.check("posix_spawnattr_init", posix_spawnattr_init(&attributes))
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        for signal in [SIGKILL, SIGSTOP] { sigdelset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    }

    deinit {
        // destroy wants a variable, and releases what the copy points to.
        var actions = actions
        var attributes = attributes
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
    }

    mutating func open(_ path: String, as descriptor: Int32, flags: Int32) throws {
        lastDescriptor = max(lastDescriptor, descriptor)
        try Self.check(
            "posix_spawn_file_actions_addopen",
            posix_spawn_file_actions_addopen(&actions, descriptor, path, flags, 0))
    }

    mutating func duplicate(_ descriptor: Int32, as target: Int32) throws {
        lastDescriptor = max(lastDescriptor, target)
        try Self.check(
            "posix_spawn_file_actions_adddup2", posix_spawn_file_actions_adddup2(&actions, descriptor, target))
    }

    /// More than a process of tests has open at a time.
    private static let descriptorLimit: Int32 = 1024

    /// Gives the program a process group of its own: in a terminal, it is then in the background.
    mutating func leadGroup() throws {
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        try Self.check("posix_spawnattr_setflags", posix_spawnattr_setflags(&attributes, Int16(flags)))
    }

    /// Starts the program.
    ///
    /// - Returns: The number of the process.
    mutating func start() throws -> pid_t {
        // What other tests and Foundation have left open is no program's.
        for descriptor in lastDescriptor + 1..<Self.descriptorLimit { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        let arguments = Self.pointers(command)
        let all = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let variables = Self.pointers(all.map { "\($0.key)=\($0.value)" })
        defer { for pointer in arguments + variables { free(pointer) } }
        var process: pid_t = 0
        try Self.check(
            "posix_spawnp of \(command)",
            posix_spawnp(&process, command.first ?? "", &actions, &attributes, arguments, variables))
        return process
    }

    /// Copies of strings, to be freed, and the null pointer that ends them.
    private static func pointers(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
        strings.map { string in strdup(string) } + [nil]
    }

    /// These functions return an error number.
    private static func check(_ name: String, _ result: Int32) throws {
        guard result == 0 else { throw ProcessError.system(name, ErrorNumber(rawValue: result)) }
    }
}
