@testable import Boot
@testable import Counters
@testable import Exec
@testable import KVM
@testable import TestSupport
import XCTest

/// Linux guests with several vCPUs, on each of which programs ask what CPUID answers while others fork.
final class ExecSMPTests: ExecTestCase {
    /// Leaves that are the same on every vCPU: none has an APIC id.
    private static let questions: [LeafProgram.Question] = [
        (0, 0), (2, 0), (4, 0), (4, 1), (6, 0), (7, 0), (0xd, 0), (0xd, 1), (0x4000_0000, 0), (0x4000_0001, 0),
        (0x8000_0000, 0), (0x8000_0001, 0), (0x8000_0002, 0), (0x8000_0008, 0), (0x4fff_fffe, 35),
    ].map { LeafProgram.Question(leaf: $0.0, subleaf: $0.1) }
    private static let forks: UInt32 = TestExtent.of(20, exhaustive: 500)
    /// Of each of the two.
    private static let programs = 4
    /// The seconds that it may take.
    private static let limit = TestExtent.of(ChildProcess.limit, exhaustive: 1500)

    func testOneVCPU() throws {
        try XCTSkipUnless(TestExtent.isExhaustive, "programs that fork on one vCPU are in ExecForkTests as well")
        try check(cpus: 1)
    }

    func testTwoVCPUs() throws {
        try XCTSkipUnless(TestExtent.isExhaustive, "four vCPUs do what two do, and more")
        try check(cpus: 2)
    }

    func testFourVCPUs() throws { try check(cpus: 4) }

    private func check(cpus: Int) throws {
        let folder = try makeFolder()
        let asking = LeafProgram(questions: Self.questions)
        let asked = try exec([
            "--cpus", "\(cpus)", "--cpuid-trap", "none", "--", program("ask", asking.file(.wide), in: folder),
        ])
        let answers = try XCTUnwrap(asking.answers(asked.output)?.first, asked.errors)
        // Where there is no trap, KVM answers this with nothing.
        let table = zip(Self.questions, answers).map { $0.leaf == 0x4fff_fffe ? CPUIDResult(edx: .max) : $1 }
        let check = CheckProgram(questions: Self.questions, answers: table)
        let (wide, narrow) = (
            try program("wide", check.file(.wide), in: folder), try program("narrow", check.file(.narrow), in: folder)
        )
        let forking = ForkProgram(count: Self.forks, even: wide, odd: narrow)
        let fork = try program("fork", forking.file, in: folder)
        let run = try exec(
            [
                // The log, so that a failure has its reason with it.
                "--kernel-log", "--cpus", "\(cpus)", "--add", wide, "--add", narrow, "--add", fork, "--", "/bin/sh",
                "-c",
                """
                read_counters() { i=0; while [ $i -lt \(Self.forks) ]; do \(wide) || return; i=$((i + 1)); done; }
                n=0
                while [ $n -lt \(Self.programs) ]; do
                    (\(fork); echo fork $?) &
                    (read_counters; echo read $?) &
                    n=$((n + 1))
                done
                wait
                count=0
                while read -r key rest; do
                    if [ "$key" = processor ]; then count=$((count + 1)); fi
                done </proc/cpuinfo
                echo $count
                """,
            ],
            statistics: folder.path("stats.json"), limit: Self.limit)
        run.assertStatus(0)
        XCTAssertFalse(run.errors.contains("minivmm: "), run.errors)
        let lines = run.outputText.split(separator: "\n").map(String.init)
        XCTAssertEqual(lines.last, "\(cpus)")
        XCTAssertEqual(
            lines.dropLast().sorted(),
            Array(repeating: "fork 0", count: Self.programs) + Array(repeating: "read 0", count: Self.programs))
        // The books of all vCPUs together.
        let record = try JSONValue(folder.bytes("stats.json"))
        let exits = record["vcpus"]?.elements.compactMap { $0["total"]?["exits"]?.integer } ?? []
        XCTAssertEqual(exits.count, cpus)
        XCTAssertFalse(exits.contains(0), "\(exits)")
        XCTAssertEqual(exits.reduce(0, +), record["total"]?["exits"]?.integer)
    }
}
