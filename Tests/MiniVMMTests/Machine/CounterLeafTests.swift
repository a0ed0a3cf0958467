@testable import Counters
@testable import Exec
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// The counter leaves, register by register, as a guest sees them.
final class CounterLeafTests: XCTestCase {
    /// The numbers that the SDM leaves out, and some past its last.
    private static let undefined: [UInt32] = [35, 38, 42, 71, 82, 83, 86, 87, 1000, 0x8000_0000, .max]

    private func forEachTrap(_ body: (CPUIDTrap, CounterLeaves) throws -> Void) throws {
        for trap in try TestKVM.workingTraps() {
            for leaves in CounterLeaves.allCases { try body(trap, leaves) }
        }
    }

    private func leaf(_ question: CounterLeaves.Question, _ leaves: CounterLeaves) -> UInt32 {
        CounterLeaves.range.first { leaves.question(of: $0) == question } ?? 0
    }

    func testTotalExitsIsInEAXAndTheRestIsZero() throws {
        try forEachTrap { trap, leaves in
            let question = Questions.Question(leaf: leaf(.totalExits, leaves), subleaf: 30)
            let answers = try Questions.ask([question, question, question], trap: trap, leaves: leaves).answers
            for (index, answer) in answers.enumerated() {
                XCTAssertEqual(
                    answer, Questions.Answer(rax: UInt64(index) + 1, rbx: 0, rcx: 0, rdx: 0), "\(trap) \(leaves)")
            }
        }
    }

    func testCountOfATypeIncludesTheQuestion() throws {
        try forEachTrap { trap, leaves in
            let number = leaf(.exitsOfType, leaves)
            let questions = [UInt32(10), 30, 10, 12, 48].map { Questions.Question(leaf: number, subleaf: $0) }
            let answers = try Questions.ask(questions, trap: trap, leaves: leaves).answers
            let expected = [UInt64(1), 0, 3, 0, 0].map { Questions.Answer(rax: $0, rbx: 0, rcx: 0, rdx: 0) }
            XCTAssertEqual(answers, expected, "\(trap) \(leaves)")
        }
    }

    func testTotalCyclesKeepEAXAndNeverFall() throws {
        try forEachTrap { trap, leaves in
            let number = leaf(.totalCycles, leaves)
            let questions = Array(repeating: Questions.Question(leaf: number, subleaf: 0), count: 20)
            let answers = try Questions.ask(questions, trap: trap, leaves: leaves).answers
            let cycles = answers.map { $0.rbx << 32 | $0.rcx }
            for answer in answers {
                XCTAssertEqual(answer.rax, UInt64(number), "EAX stays the leaf's number")
                XCTAssertEqual(answer.rdx, 0)
                XCTAssertLessThanOrEqual(answer.rbx, 0xffff_ffff)
                XCTAssertLessThanOrEqual(answer.rcx, 0xffff_ffff)
            }
            XCTAssertEqual(cycles.first, 0, "no exit has finished when the first is serviced")
            for (earlier, later) in zip(cycles, cycles.dropFirst()) { XCTAssertLessThan(earlier, later) }
        }
    }

    func testCyclesOfATypeKeepEAX() throws {
        try forEachTrap { trap, leaves in
            let number = leaf(.cyclesOfType, leaves)
            let questions = [UInt32(10), 10, 30, 12].map { Questions.Question(leaf: number, subleaf: $0) }
            let answers = try Questions.ask(questions, trap: trap, leaves: leaves).answers
            XCTAssertEqual(answers.map(\.rax), Array(repeating: UInt64(number), count: 4))
            XCTAssertEqual(answers.map(\.rdx), [0, 0, 0, 0])
            XCTAssertGreaterThan(answers[1].rbx << 32 | answers[1].rcx, 0, "the first CPUID has finished")
            XCTAssertEqual(answers[2].rcx, 0, "no I/O")
            XCTAssertEqual(answers[3].rcx, 0, "no HLT")
        }
    }

    func testTypesThatTheSDMDoesNotDefine() throws {
        try forEachTrap { trap, leaves in
            for question in [CounterLeaves.Question.exitsOfType, .cyclesOfType] {
                let questions = Self.undefined.map { Questions.Question(leaf: leaf(question, leaves), subleaf: $0) }
                let answers = try Questions.ask(questions, trap: trap, leaves: leaves).answers
                for answer in answers {
                    XCTAssertEqual(answer, Questions.Answer(rax: 0, rbx: 0, rcx: 0, rdx: 0xffff_ffff))
                }
            }
        }
    }

    func testTypesThatAreDefinedAndNeverProduced() throws {
        // 3 INIT, 9 task switch, 28 control registers, 65 PCONFIG, 85 WRMSRNS: defined, and no exit of this process.
        let never: [UInt32] = [3, 9, 28, 65, 85]
        try forEachTrap { trap, leaves in
            for question in [CounterLeaves.Question.exitsOfType, .cyclesOfType] {
                let questions = never.map { Questions.Question(leaf: leaf(question, leaves), subleaf: $0) }
                let answers = try Questions.ask(questions, trap: trap, leaves: leaves).answers
                XCTAssertEqual(answers, never.map { _ in .zeros })
            }
        }
    }

    func testSumOverTypesIsTheTotal() throws {
        for trap in try TestKVM.workingTraps() {
            let types = (UInt32(0)...85).map { Questions.Question(leaf: leaf(.exitsOfType, .f22), subleaf: $0) }
            let total = Questions.Question(leaf: leaf(.totalExits, .f22), subleaf: 0)
            let answers = try Questions.ask(types + [total], trap: trap).answers
            // Only CPUID exits happen here; each question is one, so the 11th sees 11 of its own type.
            let counts = answers.dropLast().map(\.rax)
            XCTAssertEqual(counts.reduce(0, +), 11, "only the question of type 10 sees exits, its own included")
            XCTAssertEqual(answers.last?.rax, UInt64(types.count) + 1)
        }
    }

    func testWithoutATrapTheLeavesAreZeros() throws {
        let support = try TestKVM.shared().trapSupport()
        guard support.patch else { throw XCTSkip("this bed has no trap to compare with") }
        let questions = CounterLeaves.range.map { Questions.Question(leaf: $0, subleaf: 10) }
        let (answers, run) = try Questions.ask(questions, trap: .none)
        XCTAssertEqual(answers, questions.map { _ in .zeros })
        XCTAssertEqual(run.outcome.statistics.total.exits, 1, "nothing but the HLT")
    }
}
