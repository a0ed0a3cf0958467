@testable import Boot
import Foundation
import XCTest

/// Tests of `minivmm exec`. Each run boots a kernel, so a test does as much as fits into one.
class ExecTestCase: XCTestCase {
    private var kernel = ""

    override func setUpWithError() throws {
        _ = try LinuxBed.kvm()
        kernel = try LinuxBed.kernel().path
    }

    /// Runs `minivmm exec`.
    ///
    /// - Parameters:
    ///   - statistics: A file for the statistics, which are left out otherwise.
    ///   - limit: The seconds that it may take.
    func exec(
        _ arguments: [String], statistics: String? = nil, output: OutputSink = .captured,
        input: String = "/dev/null", limit: Int = ChildProcess.limit
    ) throws -> CommandLineRun {
        let form = statistics.map { ["--stats", "json", "--stats-file", $0] } ?? ["--stats", "none"]
        return try CommandLineRun(of: startExec(form + arguments, output: output, input: input, limit: limit))
    }

    /// Starts `minivmm exec`.
    func startExec(
        _ arguments: [String], output: OutputSink = .captured, input: String = "/dev/null",
        limit: Int = ChildProcess.limit
    ) throws -> RunningProcess {
        let command = [try MiniVMMExecutable.path(), "exec", "--kernel", kernel]
        return try RunningProcess(command + arguments, output: output, input: input, limit: limit)
    }

    /// Makes a program in a folder of the test.
    ///
    /// - Returns: Its path.
    func program(_ name: String, _ bytes: [UInt8], in folder: TemporaryFolder) throws -> String {
        let path = try folder.file(name, bytes)
        chmod(path, 0o755)
        return path
    }
}
