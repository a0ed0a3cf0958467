@testable import CKVM
import Foundation
import Glibc
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// What a process that runs a guest cannot do any more.
final class ConfinementTests: KVMTestCase {
    func testCallsOutsideOfTheListsEndTheProcess() throws {
        for role in ConfinementRole.allCases {
            let expected: ProcessEnd = role == .writes ? .exited(ConfinementRole.status) : .signaled(SIGSYS)
            XCTAssertEqual(try role.run(), expected, role.rawValue)
        }
    }

    /// The state of each thread of a run, as the kernel tells it.
    private func states(_ arguments: [String]) throws -> [[String: String]] {
        let process = try RunningProcess([MiniVMMExecutable.path(), "run", "--guest", "spin"] + arguments)
        try process.waitForOutput("spinning\n")
        let tasks = "/proc/\(process.id)/task"
        let states = try FileManager.default.contentsOfDirectory(atPath: tasks).map { thread in
            let text = try String(contentsOfFile: "\(tasks)/\(thread)/status", encoding: .utf8)
            let pairs = text.split(separator: "\n").map { line in
                line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            }
            return Dictionary(pairs.filter { $0.count == 2 }.map { ($0[0], $0[1]) }) { first, _ in first }
        }
        try process.send(SIGTERM)
        XCTAssertEqual(try process.finish(), .exited(143))
        return states
    }

    func testEveryThreadIsConfined() throws {
        let states = try states(["--cpus", "2", "--gdb", "0"])
        // The command's own, that of the signals, the input's, the debugger's, and the vCPUs'.
        XCTAssertGreaterThanOrEqual(states.count, 5)
        for state in states {
            let name = state["Name"] ?? ""
            XCTAssertEqual(state["Seccomp"], "2", name)
            XCTAssertEqual(state["NoNewPrivs"], "1", name)
            XCTAssertEqual(state["CapEff"], "0000000000000000", name)
            XCTAssertEqual(state["CapPrm"], "0000000000000000", name)
        }
    }

    func testWithoutAConfinementThereIsAWord() throws {
        let states = try states(["--no-sandbox"])
        XCTAssertEqual(Set(states.compactMap { $0["Seccomp"] }), ["0"])
        let run = try CommandLineRun(["run", "--guest", "hello", "--stats", "none", "--no-sandbox"])
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "minivmm: this run is not confined, because of --no-sandbox.\n")
    }

    func testStrayDescriptorsAreClosed() throws {
        let script = """
            exec 7</etc/passwd 9</etc/passwd
            "$0" run --guest spin --stats none >/dev/null & sleep 0.5
            ls -l /proc/$!/fd | grep -c passwd
            kill $!; wait $!
            """
        let run = try CommandLineRun(command: ["/bin/sh", "-c", script, MiniVMMExecutable.path()])
        XCTAssertEqual(run.outputText, "0\n", run.errors)
    }

    /// What the arguments name by number stays open, as process substitution needs it.
    func testAnImageByItsDescriptor() throws {
        let image = try makeFolder().file("printer.bin", [0xf4])
        let run = try CommandLineRun(
            command: ["/bin/sh", "-c", "\"$0\" run /dev/fd/9 --stats none 9<\"$1\"", MiniVMMExecutable.path(), image])
        run.assertStatus(0)
    }

    /// Each way to run a guest, and to say what came of it, keeps to the lists: else SIGSYS would end it.
    func testEveryOptionKeepsToTheLists() throws {
        let folder = try makeFolder()
        let reports = [
            "--report", folder.path("r.html"), "--report", folder.path("r.json"), "--report", folder.path("r.csv"),
            "--trace", folder.path("t.json"), "--stats-file", folder.path("s.txt"),
        ]
        for (guest, everything) in [("hello", TestExtent.isExhaustive), ("counters", true)] {
            for options in !everything
                ? [[]]
                : [
                    [], reports, ["--stats", "json"], ["--per-vcpu", "--cpus", "4"], ["--exits", "total"],
                    ["--exits", "auto", "--top", "5"] + reports, ["--cpuid-trap", "patch"], ["--cpuid-trap", "step"],
                    ["--memory", "512M"], ["--log-level", "trace"], ["--pin", "0"], ["--timeout", "0.3"],
                ]
            {
                let run = try CommandLineRun(["run", "--guest", guest, "--timeout", "0.5"] + options)
                if case .signaled(let number) = run.end { XCTFail("\(guest) \(options): signal \(number)") }
            }
        }
        for bytes: [UInt8] in [
            [0x0f, 0x0b], [0xcd, 0x80], [0xea, 0, 0, 0, 0xf0], [0xf4], [0xe6, 0x64], TinyGuest.printer,
        ] {
            let image = try folder.file("guest.bin", bytes)
            for options in TestBed.isEmulated ? [["--cpus", "2"] + reports] : [[], ["--cpus", "2"], reports] {
                let run = try CommandLineRun(["run", image, "--timeout", "0.3"] + options)
                if case .signaled(let number) = run.end { XCTFail("\(bytes) \(options): signal \(number)") }
            }
        }
    }
}
