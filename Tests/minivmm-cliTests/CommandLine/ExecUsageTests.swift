@testable import TestSupport
import XCTest

/// What `minivmm exec` says before there is a guest.
final class ExecUsageTests: KVMTestCase {
    private func assertRefused(
        _ arguments: [String], _ status: Int32, _ text: String, line: UInt = #line
    ) throws {
        let run = try CommandLineRun(["exec"] + arguments)
        run.assertStatus(status, line: line)
        XCTAssertEqual(run.output, [], line: line)
        XCTAssertTrue(run.errors.contains(text), run.errors, line: line)
    }

    func testPrograms() throws {
        try TestBed.skipWhereEmulated()
        try assertRefused(["--", "/none"], 127, "There is no program /none.")
        try assertRefused(["--", "minivmm-none"], 127, "There is no program minivmm-none in ")
        try assertRefused(["/etc/passwd"], 126, "/etc/passwd has no permission to be executed.")
        try assertRefused(["--", "/"], 126, "/ is a directory.")
        let arm = try makeFolder().file("arm", SampleProgram(machine: 183).bytes)
        chmod(arm, 0o755)
        try assertRefused([arm], 126, "\(arm) is an ELF program for ARM64")
    }

    func testOptions() throws {
        try TestBed.skipWhereEmulated()
        let program = try MiniVMMExecutable.path()
        try assertRefused([], 64, "Missing expected argument")
        try assertRefused(["--"], 64, "Give a program to run")
        try assertRefused(["--nonsense", program], 64, "Unknown option '--nonsense'")
        try assertRefused(["--env", "=x", program], 64, "\"=x\" is no setting")
        try assertRefused(["--add", "/none", program], 66, "/none cannot be read (ENOENT")
        try assertRefused(["--add", "/etc/passwd:/proc/x", program], 64, "Nothing can be put at /proc/x")
        try assertRefused(["--kernel", "/none", program], 66, "/none cannot be read (ENOENT")
        try assertRefused(["--kernel", program, program], 65, program)
        // What stands behind the program is the program's.
        try assertRefused(["--kernel", "/none", program, "--help", "--nonsense"], 66, "/none cannot be read")
    }

    func testHelp() throws {
        try TestBed.skipWhereEmulated()
        let run = try CommandLineRun(["exec", "--help"])
        run.assertStatus(0)
        for option in ["--kernel <file>", "--memory", "--env", "--add", "--kernel-log", "--timeout"] {
            XCTAssertTrue(run.outputText.contains(option), option)
        }
    }
}
