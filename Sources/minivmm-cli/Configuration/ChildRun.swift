import Glibc
import Host
import MiniVMM

/// A process of this same program that makes one run.
final class ChildRun {
    /// Its number.
    let process: pid_t
    private let record: Int32
    /// What it says on standard error; below 0 where that goes the usual way.
    private let messages: Int32

    /// More than any report has: 16 MiB.
    private static let maximumSize = 1 << 24
    private static let chunkSize = 1 << 16

    /// Starts it, with standard input from /dev/null.
    ///
    /// - Parameters:
    ///   - words: Its command line after its own name.
    ///   - number: The descriptor that it has for its report.
    ///   - takesMessages: Whether this process is handed what it says on standard error.
    /// - Throws: `ResourceError` when the system refuses a process or pipes.
    init(_ words: [[UInt8]], record number: Int32, takesMessages: Bool) throws(ResourceError) {
        let pipe = try Self.pipe()
        defer { close(pipe.writer) }
        record = pipe.reader
        let errors = takesMessages ? try Self.pipe() : nil
        defer { if let errors { close(errors.writer) } }
        messages = errors?.reader ?? -1
        let name = CommandLine.arguments.first ?? "minivmm"
        let command = [Array(name.utf8)] + words
        process = try unsafe ProgramStart.start("/proc/self/exe", command) { actions in
            unsafe posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
            if let errors { unsafe posix_spawn_file_actions_adddup2(actions, errors.writer, STDERR_FILENO) }
            unsafe posix_spawn_file_actions_adddup2(actions, pipe.writer, number)
        }
    }

    deinit {
        close(record)
        if messages >= 0 { close(messages) }
    }

    /// The lowest number of a pipe's ends: above the descriptors that a child gets.
    private static let leastNumber: Int32 = 16

    /// A pipe that no child inherits.
    private static func pipe() throws(ResourceError) -> (reader: Int32, writer: Int32) {
        var low: [Int32] = [-1, -1]
        guard unsafe Glibc.pipe(&low) == 0 else { throw ResourceError("a pipe", ErrorNumber(rawValue: errno)) }
        defer { for end in low { close(end) } }
        let high = low.map { fcntl($0, F_DUPFD_CLOEXEC, leastNumber) }
        guard high.allSatisfy({ $0 >= 0 }) else {
            let error = ErrorNumber(rawValue: errno)
            for end in high where end >= 0 { close(end) }
            throw ResourceError("a pipe", error)
        }
        return (high[0], high[1])
    }

    /// Reads its report until it ends, and hands over what it says meanwhile.
    ///
    /// - Throws: ``InputError`` when the report is too large for one.
    func readAll(_ say: ([UInt8]) -> Void) throws(InputError) -> [UInt8] {
        var record: [UInt8] = []
        var isOpen = (record: true, messages: messages >= 0)
        while isOpen.record || isOpen.messages {
            var waited = [
                pollfd(fd: isOpen.record ? self.record : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isOpen.messages ? messages : -1, events: Int16(POLLIN), revents: 0),
            ]
            guard unsafe poll(&waited, 2, -1) > 0 else { continue }
            if waited[0].revents != 0 {
                let part = Self.read(self.record)
                isOpen.record = !part.isEmpty
                record += part
                guard record.count <= Self.maximumSize else { throw .tooLarge(path: "What a run wrote") }
            }
            if waited[1].revents != 0 {
                let part = Self.read(messages)
                isOpen.messages = !part.isEmpty
                if !part.isEmpty { say(part) }
            }
        }
        return record
    }

    /// What there is; nothing at the end.
    private static func read(_ descriptor: Int32) -> [UInt8] {
        var part = [UInt8](repeating: 0, count: chunkSize)
        while true {
            let count = unsafe Glibc.read(descriptor, &part, part.count)
            if count >= 0 { return Array(part.prefix(count)) }
            guard errno == EINTR else { return [] }
        }
    }

    /// Waits for its end.
    ///
    /// - Returns: The status that it ended with, as shells report it.
    func waitForEnd() throws(ResourceError) -> ExitStatus {
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { throw ResourceError("a process", ErrorNumber(rawValue: errno)) }
        }
        // Source: wait(2): a signal's number in the low seven bits, else the status in the next eight.
        return status & 0x7f == 0 ? ExitStatus(rawValue: status >> 8 & 0xff) : .signal(status & 0x7f)
    }
}
