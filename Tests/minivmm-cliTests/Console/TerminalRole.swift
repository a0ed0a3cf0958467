import Foundation
@testable import TestSupport

/// What a process does that a test of the terminal starts: this test bundle, run anew for one test.
///
/// Its files: 0 is the terminal, 1 and 2 are for messages, 3 takes a byte for each step, 4 is the terminal's other end.
enum TerminalRole: String, CaseIterable {
    /// Runs a guest, and waits for a signal.
    case waits
    /// Ends the run and returns.
    case returns
    /// Calls exit(3) during the run.
    case exits
    /// Calls abort(3).
    case aborts
    /// Reads from an address that there is not.
    case faults
    /// Comes to a Swift runtime error.
    case traps
    /// Watches for signals as the command line does, and ends the run.
    case watches
    /// Is a shell with job control, which has a process `waits` as its job.
    case shell

    /// The environment variable that names the role.
    static let variable = "MINIVMM_TEST_TERMINAL_ROLE"
    /// What a process writes to file 3 when it runs its guest.
    static let started = UInt8(ascii: "!")
    /// The exit status of `exits`.
    static let status: Int32 = 7

    /// The role of this process, if it has one.
    static var ofThisProcess: TerminalRole? {
        ProcessInfo.processInfo.environment[variable].flatMap(TerminalRole.init(rawValue:))
    }

    /// Starts a process.
    ///
    /// - Parameter asJob: Whether it is a job in the background of this process's terminal.
    func start(files: [Int32], asJob: Bool = false) throws -> ChildProcess {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        // Swift's runtime prints a backtrace at a crash; a process that was only sent such a signal then goes on.
        let environment = [Self.variable: rawValue, "SWIFT_BACKTRACE": "enable=no"]
        var spawn = try SpawnRequest([program, "minivmm_cliTests.TerminalChild/testRole"], environment: environment)
        for (target, file) in files.enumerated() { try spawn.duplicate(file, as: Int32(target)) }
        if asJob { try spawn.leadGroup() }
        return try ChildProcess(&spawn)
    }
}
