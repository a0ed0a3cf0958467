@testable import Boot
@testable import Counters
@testable import Exec
@testable import KVM
@testable import TestSupport
import XCTest

/// What a program reads from its counters is what the VMM's own trace of the same run comes to, to the cycle.
final class ExecTraceTests: ExecTestCase {
    /// An exit of the trace.
    private struct Event {
        let kind: ExitKind
        let cycles: UInt64
        /// What a CPUID asked.
        let question: LeafProgram.Question?
    }

    private func events(_ file: [UInt8]) throws -> [Event] {
        let trace = try JSONValue(file)
        XCTAssertEqual(trace["otherData"]?["lost_exits"]?.integer, 0)
        return try (trace["traceEvents"]?.elements ?? []).filter { $0["ph"]?.string == "X" }.map { event in
            func number(_ key: String) -> UInt32? {
                event["args"]?[key]?.string.flatMap { UInt32($0.dropFirst(2), radix: 16) }
            }
            return Event(
                kind: try XCTUnwrap(ExitKind.allCases.first { $0.name == event["name"]?.string }),
                cycles: UInt64(try XCTUnwrap(event["args"]?["cycles"]?.integer)),
                question: number("leaf").map { LeafProgram.Question(leaf: $0, subleaf: number("subleaf") ?? 0) })
        }
    }

    /// Every question there is, with every number of the SDM's, defined or not.
    private func questions(_ leaves: CounterLeaves) -> [LeafProgram.Question] {
        func leaf(_ question: CounterLeaves.Question) -> UInt32 {
            CounterLeaves.range.first { leaves.question(of: $0) == question } ?? 0
        }
        if leaves == .s21 {
            let totals = LeafProgram.Question(leaf: leaf(.totals))
            return [totals, totals]
                + (0...UInt32(80)).flatMap { [.init(leaf: leaf(.exitsOfType), subleaf: $0), totals] }
        }
        let totals: [LeafProgram.Question] = [
            .init(leaf: leaf(.totalExits)), .init(leaf: leaf(.totalExits)), .init(leaf: leaf(.totalCycles)),
        ]
        let types: [LeafProgram.Question] = (0...UInt32(80)).flatMap { number in
            [
                .init(leaf: leaf(.exitsOfType), subleaf: number), .init(leaf: leaf(.cyclesOfType), subleaf: number),
                .init(leaf: leaf(.totalExits)),
            ]
        }
        return totals + types + totals
    }

    /// What the trace says should have been answered to the question that an exit carries.
    private func expected(_ index: Int, _ events: [Event], _ leaves: CounterLeaves) -> CPUIDResult? {
        guard let asked = events[index].question, let question = leaves.question(of: asked.leaf) else { return nil }
        // Counts include the exit that carries the question, and cycles are those of the exits before.
        var (before, throughout) = (events[..<index], events[...index])
        if question == .exitsOfType || question == .cyclesOfType {
            // Source: Intel SDM, volume 3, appendix "VMX basic exit reasons": the numbers up to 80 that it leaves out.
            if [35, 38, 42, 71].contains(asked.subleaf) { return CPUIDResult(edx: .max) }
            let kinds = ExitKind.allCases.filter { $0.basicExitReason?.rawValue == asked.subleaf }
            if kinds.isEmpty { return CPUIDResult() }
            (before, throughout) = (
                before.filter { kinds.contains($0.kind) }[...], throughout.filter { kinds.contains($0.kind) }[...]
            )
        }
        let count = UInt32(truncatingIfNeeded: throughout.count)
        if question == .totalExits { return CPUIDResult(eax: count) }
        if question == .exitsOfType { return CPUIDResult(eax: count, ecx: asked.subleaf) }
        let cycles = before.reduce(0) { $0 &+ $1.cycles }
        return CPUIDResult(
            eax: question == .totals ? count : asked.leaf, ebx: UInt32(truncatingIfNeeded: cycles >> 32),
            ecx: UInt32(truncatingIfNeeded: cycles))
    }

    private func check(_ leaves: CounterLeaves, _ format: ELFClass) throws {
        let folder = try makeFolder()
        let program = LeafProgram(questions: questions(leaves))
        let path = try self.program("leaves", program.file(format), in: folder)
        // The trace has the exits that reach MiniVMM, so the program is told of these.
        let run = try exec(
            ["--leaves", leaves.rawValue, "--exits", "user", "--trace", folder.path("trace.json"), "--", path])
        run.assertStatus(0)
        let answers = try XCTUnwrap(program.answers(run.output)?.first, "\(run.output.count) bytes")
        let events = try events(folder.bytes("trace.json"))
        let asked = events.indices.filter { index in
            events[index].question.map { CounterLeaves.range.contains($0.leaf) } ?? false
        }
        XCTAssertEqual(asked.map { events[$0].question }, program.questions)
        let expected = asked.compactMap { self.expected($0, events, leaves) }
        XCTAssertEqual(expected.count, answers.count)
        XCTAssertEqual(program.differences(answers, from: expected).prefix(20), [])
        // Now and then the guest's kernel interrupts the program, and the trace shows what it did then.
        let rises = zip(asked, asked.dropFirst()).map { $1 - $0 }
        XCTAssertEqual(rises.min(), 1)
    }

    func testTheFirstLayout() throws { try check(.f22, .wide) }
    func testTheSecondLayout() throws { try check(.f21, .narrow) }
    func testTheThirdLayout() throws { try check(.s21, .wide) }
}
