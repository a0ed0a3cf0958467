import XCTest

/// A run of a program from start to end, most often of the `minivmm` that was built along with the tests.
struct CommandLineRun {
    /// What it wrote to standard output.
    let output: [UInt8]
    /// What it wrote to standard error.
    let errors: String
    /// How it ended.
    let end: ProcessEnd

    /// Standard output as text.
    var outputText: String { String(decoding: output, as: UTF8.self) }

    /// Runs `minivmm`.
    ///
    /// - Parameters:
    ///   - arguments: Its arguments.
    ///   - prefix: A program and its arguments that runs `minivmm`, such as `setpriv`.
    init(
        _ arguments: [String],
        under prefix: [String] = [],
        output: OutputSink = .captured,
        input: String = "/dev/null"
    ) throws {
        try self.init(command: prefix + [MiniVMMExecutable.path()] + arguments, output: output, input: input)
    }

    /// Runs a program.
    init(command: [String], output sink: OutputSink = .captured, input: String = "/dev/null") throws {
        try self.init(of: RunningProcess(command, output: sink, input: input))
    }

    /// The rest of a run.
    init(of process: RunningProcess) throws {
        end = try process.finish()
        output = process.output
        errors = String(decoding: process.errors, as: UTF8.self)
    }

    /// Checks the exit status; a failure shows what the program said.
    func assertStatus(
        _ status: Int32,
        _ message: String = "",
        file: StaticString = #filePath,
        line: UInt = #line
    ) {
        XCTAssertEqual(end, .exited(status), "\(message)\n\(errors)", file: file, line: line)
    }
}
