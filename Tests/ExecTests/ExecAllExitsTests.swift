@testable import Boot
@testable import Counters
@testable import Exec
@testable import KVM
@testable import TestSupport
@testable import Tracepoints
import XCTest

/// A program reads every exit by type, those that KVM settles itself included, and the numbers fit together to the exit.
final class ExecAllExitsTests: ExecTestCase {
    /// Questions for the total, some types and the total again.
    private struct Sweep {
        let types: [UInt32]
        let totalLeaf: UInt32
        let typeLeaf: UInt32
        /// What CPUID itself is.
        let cpuid: UInt32

        init(_ types: [UInt32], _ leaves: CounterLeaves, _ numbering: ExitNumbering) {
            self.types = types
            let total: CounterLeaves.Question = leaves == .s21 ? .totals : .totalExits
            totalLeaf = CounterLeaves.range.first { leaves.question(of: $0) == total } ?? 0
            typeLeaf = CounterLeaves.range.first { leaves.question(of: $0) == .exitsOfType } ?? 0
            cpuid = numbering == .sdm ? 10 : 0x72
        }

        var questions: [LeafProgram.Question] {
            [.init(leaf: totalLeaf)] + types.map { .init(leaf: typeLeaf, subleaf: $0) } + [.init(leaf: totalLeaf)]
        }

        /// How many exits came in between that were no questions: of the host's and of the guest's kernel.
        func others(_ answers: ArraySlice<CPUIDResult>) -> UInt32? {
            guard let first = answers.first, let last = answers.last else { return nil }
            return last.eax &- first.eax &- UInt32(types.count) &- 1
        }

        /// The sum over types less the first total. Without others, it is the questions up to that for CPUID itself.
        func excess(_ answers: ArraySlice<CPUIDResult>) -> UInt32? {
            guard let first = answers.first else { return nil }
            return answers.dropFirst().dropLast().reduce(0) { $0 &+ $1.eax } &- first.eax
        }

        /// The questions for types up to that for CPUID.
        var questionsUpToCPUID: UInt32 { UInt32(types.firstIndex(of: cpuid) ?? 0) + 1 }
    }

    /// A program's sweeps, and the record of its run.
    private func run(
        _ sweep: Sweep, times count: Int, _ leaves: CounterLeaves, _ numbering: ExitNumbering
    ) throws -> (sweeps: [ArraySlice<CPUIDResult>], record: JSONValue) {
        let folder = try makeFolder()
        let program = LeafProgram(questions: (0..<count).flatMap { _ in sweep.questions })
        let path = try self.program("ask", program.file(.wide), in: folder)
        let file = folder.path("stats.json")
        let run = try exec(
            ["--exits", "all", "--leaves", leaves.rawValue, "--exit-types", numbering.rawValue, "--", path],
            statistics: file)
        run.assertStatus(0)
        let answers = try XCTUnwrap(program.answers(run.output)?.first, "\(run.output.count) bytes")
        let size = sweep.questions.count
        return ((0..<count).map { answers[($0 * size)..<(($0 + 1) * size)] }, try JSONValue(folder.bytes("stats.json")))
    }

    private func check(_ leaves: CounterLeaves, _ numbering: ExitNumbering) throws {
        let what = "\(leaves) \(numbering)"
        // Every type there is. In that time the host and the guest's kernel come in between.
        let all = Sweep(
            numbering == .sdm ? Array(0...BasicExitReason.maximum) : Array(0...0xa6) + Array(0x400...0x403), leaves,
            numbering)
        let (sweeps, record) = try run(all, times: 5, leaves, numbering)
        try checkSums(sweeps, all, what)
        // No count ever goes down.
        for (before, after) in zip(sweeps, sweeps.dropFirst()) {
            for (first, second) in zip(before, after) { XCTAssertLessThanOrEqual(first.eax, second.eax, what) }
        }
        let last = try XCTUnwrap(sweeps.last)
        try compare(last, all, with: record, numbering, what)

        // The other layouts differ in where the leaves are, and codes in which numbers are added.
        guard leaves == .f22, numbering == .sdm else { return }
        // Those that occur, often: an exit that is in one number and not in the other would add up.
        let occurring = zip(all.types, last.dropFirst()).filter { $1.edx == 0 && $1.eax > 0 }.map(\.0)
        let some = Sweep(occurring, leaves, numbering)
        try checkSums(run(some, times: 300, leaves, numbering).sweeps, some, what)
    }

    /// Types add up to the total that was asked before, and the questions since, and what came in between until its
    /// type was asked.
    private func checkSums(_ sweeps: [ArraySlice<CPUIDResult>], _ sweep: Sweep, _ what: String) throws {
        for answers in sweeps {
            let excess = try XCTUnwrap(sweep.excess(answers))
            XCTAssertGreaterThanOrEqual(excess, sweep.questionsUpToCPUID, what)
            XCTAssertLessThanOrEqual(excess, sweep.questionsUpToCPUID + (sweep.others(answers) ?? 0), what)
        }
    }

    /// The report's numbers are what the program read last, and what came after: the program's end and the guest's.
    private func compare(
        _ answers: ArraySlice<CPUIDResult>, _ sweep: Sweep, with record: JSONValue, _ numbering: ExitNumbering,
        _ what: String
    ) throws {
        let kernel = try XCTUnwrap(record["kernel_settled"], what)
        XCTAssertEqual(kernel["processor_exits"]?.integer, kernel["kvm_exits"]?.integer, what)
        guard numbering == .sdm else { return }
        var sums: [Int64: Int64] = [:]
        for row in (kernel["reasons"]?.elements ?? []) + (record["kinds"]?.elements ?? []) {
            guard let type = row["sdm"]?.integer, let exits = row["exits"]?.integer else { continue }
            sums[type, default: 0] += exits
        }
        for (type, answer) in zip(sweep.types, answers.dropFirst()) where answer.edx == 0 {
            XCTAssertGreaterThanOrEqual(sums[Int64(type)] ?? 0, Int64(answer.eax), "\(what) \(type)")
        }
        // All questions of the program; the kernel's own CPUIDs come on top.
        XCTAssertGreaterThanOrEqual(sums[10] ?? 0, Int64(5 * sweep.questions.count), what)
        // Descriptor-table accesses, task switches and INVD: no exit of these in the whole run.
        for type: Int64 in [46, 47, 9, 13] { XCTAssertEqual(sums[type] ?? 0, 0, what) }
    }

    func testEveryTypeInEveryLayout() throws {
        _ = try TestKVM.require(ExitTracepoints.Method.raw)
        for leaves in CounterLeaves.allCases { try check(leaves, .sdm) }
    }

    func testEveryCodeOfSVM() throws {
        _ = try TestKVM.require(ExitTracepoints.Method.raw)
        try check(.f22, .svm)
    }
}
