import Glibc
@testable import Host
import MiniVMM

/// A program that a test has started, with its standard output and standard error on pipes that are read as they fill.
///
/// For one thread.
final class RunningProcess {
    private let command: [String]
    private let child: ChildProcess
    /// The number of the process.
    var id: pid_t { child.id }
    private let outputPipe: PipeEnds
    private let errorPipe: PipeEnds
    private let sink: OutputSink
    private(set) var output: [UInt8] = []
    private(set) var errors: [UInt8] = []

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - command: The program, found through PATH unless it is a path, and its arguments.
    ///   - input: The file that is its standard input.
    init(
        _ command: [String],
        output sink: OutputSink = .captured,
        input: String = "/dev/null",
        limit: Int = ChildProcess.limit
    ) throws {
        self.command = command
        self.sink = sink
        outputPipe = try PipeEnds()
        errorPipe = try PipeEnds()
        if case .unread = sink { try outputPipe.fill() }
        var spawn = try SpawnRequest(command)
        try spawn.open(input, as: STDIN_FILENO, flags: O_RDONLY)
        if case .file(let path) = sink {
            try spawn.open(path, as: STDOUT_FILENO, flags: O_WRONLY | O_NOCTTY)
        } else {
            try spawn.duplicate(outputPipe.writer, as: STDOUT_FILENO)
        }
        try spawn.duplicate(errorPipe.writer, as: STDERR_FILENO)
        child = try ChildProcess(&spawn, limit: limit)
        outputPipe.closeWriter()
        errorPipe.closeWriter()
    }

    /// Sends a signal.
    func send(_ signal: Int32) throws {
        try child.send(signal)
    }

    /// Reads until the program's standard output holds a text.
    ///
    /// - Throws: ``ProcessError/endedEarly(waitingFor:output:errors:)`` when it ends without.
    func waitForOutput(_ text: String) throws {
        while !String(decoding: output, as: UTF8.self).contains(text) {
            guard try readMore(), outputPipe.reader >= 0 else {
                throw ProcessError.endedEarly(waitingFor: text, output: outputText, errors: errorText)
            }
        }
    }

    /// Reads until the program's standard error holds a line that begins with a text.
    ///
    /// - Returns: The rest of the line.
    /// - Throws: ``ProcessError/endedEarly(waitingFor:output:errors:)`` when it ends without.
    func waitForErrorLine(_ start: String) throws -> String {
        while true {
            let lines = errorText.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            if let line = lines.first(where: { $0.hasPrefix(start) }) { return String(line.dropFirst(start.count)) }
            guard try readMore(), errorPipe.reader >= 0 else {
                throw ProcessError.endedEarly(waitingFor: start, output: outputText, errors: errorText)
            }
        }
    }

    /// Reads on until the program ends.
    ///
    /// - Throws: ``ProcessError`` when it does not.
    func finish() throws -> ProcessEnd {
        while try readMore() {}
        guard let end = try child.waitForEnd() else {
            throw ProcessError.tooLong(
                command: command.joined(separator: " "), output: outputText, errors: errorText)
        }
        return end
    }

    private var outputText: String { String(decoding: output, as: UTF8.self) }
    private var errorText: String { String(decoding: errors, as: UTF8.self) }

    /// Waits for output, and takes what there is.
    ///
    /// - Returns: Whether there can be more.
    private func readMore() throws -> Bool {
        // poll(2) passes over negative descriptors.
        var output = outputPipe.reader
        if case .unread = sink { output = -1 }
        guard output >= 0 || errorPipe.reader >= 0 else { return false }
        var waited = [
            pollfd(fd: output, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errorPipe.reader, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&waited, 2, -1) >= 0 else {
            guard errno == EINTR else { throw ProcessError.system("poll", ErrorNumber(rawValue: errno)) }
            return true
        }
        if waited[0].revents != 0, !readPart(output, into: &self.output) { outputPipe.closeReader() }
        if case .closedAfter(let count) = sink, self.output.count >= count { outputPipe.closeReader() }
        if waited[1].revents != 0, !readPart(errorPipe.reader, into: &errors) { errorPipe.closeReader() }
        return true
    }

    /// Takes what a pipe has now.
    ///
    /// - Returns: Whether there can be more.
    private func readPart(_ descriptor: Int32, into bytes: inout [UInt8]) -> Bool {
        var part = [UInt8](repeating: 0, count: 0x1_0000)
        if case .closedAfter = sink { part.removeLast(part.count - 1) }
        let count = read(descriptor, &part, part.count)
        guard count > 0 else { return count < 0 && errno == EINTR }
        bytes += part[..<count]
        return true
    }
}
