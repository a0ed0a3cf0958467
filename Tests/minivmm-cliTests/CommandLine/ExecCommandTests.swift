@testable import Exec
import Foundation
@testable import TestSupport
import XCTest

/// `minivmm exec`: what a program sees of it.
final class ExecCommandTests: ExecTestCase {
    func testStreamsArgumentsEnvironmentAndStatus() throws {
        let script = "printf '%s|' \"$@\" \"$A\" \"$PATH\" \"$(pwd)\"; printf 'err\\n\\0' >&2; exit 7"
        let run = try exec(["--env", "A=b c", "--", "/bin/sh", "-c", script, "name", "one two", "", "--x"])
        run.assertStatus(7)
        let directory = FileManager.default.currentDirectoryPath
        XCTAssertEqual(run.outputText, "one two||--x|b c|\(SearchPath.standard.text)|\(directory)|")
        XCTAssertEqual(run.errors, "err\n\0")
    }

    func testEveryByteOfInputAndOutput() throws {
        let folder = try makeFolder()
        let bytes = SampleBzImage.pattern(count: 300_000)
        let file = try folder.file("input", bytes)
        let run = try exec(["--", "/bin/cat"], input: file)
        run.assertStatus(0)
        XCTAssertTrue(run.output == bytes, "\(run.output.count) bytes")
        XCTAssertEqual(run.errors, "")
    }

    func testADynamicProgram() throws {
        let run = try exec(["--", MiniVMMExecutable.path(), "--version"])
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, try CommandLineRun(["--version"]).outputText)
    }

    func testAProgramThatIsKilled() throws {
        let run = try exec(["--", "/bin/sh", "-c", "kill -SEGV $$"])
        run.assertStatus(139)
        XCTAssertEqual(run.errors, "minivmm: signal 11 killed the program in the guest.\n")
    }

    func testAReaderThatGoes() throws {
        let run = try exec(["--", "/bin/sh", "-c", "while echo y; do :; done"], output: .closedAfter(10))
        // The shell's own, when it ignores SIGPIPE, or it dies of that.
        guard case .exited(let status) = run.end else { return XCTFail("\(run.end)") }
        XCTAssertTrue([0, 1, 2, 141].contains(status), "\(status) \(run.errors)")
    }

    func testWhatAProgramLeavesRunningEndsWithIt() throws {
        let run = try exec(["--", "/bin/sh", "-c", "(while :; do echo y; done) & exit 3"])
        run.assertStatus(3)
    }

    func testAGuestThatEndsWithoutAWord() throws {
        let run = try exec(["--append", "rdinit=/none root=/none", "--", "/bin/sh"])
        run.assertStatus(1)
        XCTAssertTrue(run.errors.contains("the guest's kernel panicked"), run.errors)
        XCTAssertTrue(run.errors.contains("did not say what became of the program"), run.errors)
        // Long enough for the kernel's first words where everything is emulated; the program has no end.
        let limited = try exec(["--timeout", "15", "--kernel-log", "--", "/bin/sh", "-c", "while :; do :; done"])
        limited.assertStatus(124)
        XCTAssertTrue(limited.errors.contains("Linux version"), limited.errors)
    }
}
