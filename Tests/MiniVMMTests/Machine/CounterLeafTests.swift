@testable import Counters
@testable import Exec
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// The counter leaves, register by register, as a guest sees them.
final class CounterLeafTests: XCTestCase {
    /// The numbers that the SDM leaves out, and some past its last.
    private static let undefined: [UInt32] = [35, 38, 42, 71, 82, 83, 86, 87, 1000, 0x8000_0000, .max]

    /// Goes through the traps, and through the layouts that have a question.
    private func forEachTrap(
        _ question: CounterLeaves.Question, _ body: (CPUIDTrap, CounterLeaves) throws -> Void
    ) throws {
        for trap in try TestKVM.workingTraps() {
            for leaves in CounterLeaves.allCases where leaf(question, leaves) != 0 { try body(trap, leaves) }
        }
    }

    /// The leaf of a question; 0 when the layout has none.
    private func leaf(_ question: CounterLeaves.Question, _ leaves: CounterLeaves) -> UInt32 {
        CounterLeaves.range.first { leaves.question(of: $0) == question } ?? 0
    }

    func testEachLayoutHasTheQuestionsOfTheTable() {
        func questions(_ leaves: CounterLeaves) -> [CounterLeaves.Question?] {
            CounterLeaves.range.map(leaves.question)
        }
        XCTAssertEqual(questions(.f22), [.totalExits, .totalCycles, .exitsOfType, .cyclesOfType])
        XCTAssertEqual(questions(.f21), [.cyclesOfType, .exitsOfType, .totalCycles, .totalExits])
        XCTAssertEqual(questions(.s21), [nil, nil, .exitsOfType, .totals])
        for leaves in CounterLeaves.allCases {
            for leaf: UInt32 in [0, 0x4fff_fffb, 0x5000_0000, .max] { XCTAssertNil(leaves.question(of: leaf)) }
        }
    }

    func testTotalExitsIsInEAXAndTheRestIsZero() throws {
        try forEachTrap(.totalExits) { trap, leaves in
            let question = Questions.Question(leaf: leaf(.totalExits, leaves), subleaf: 30)
            let answers = try Questions.ask([question, question, question], trap: trap, leaves: leaves).answers
            for (index, answer) in answers.enumerated() {
                XCTAssertEqual(
                    answer, Questions.Answer(rax: UInt64(index) + 1, rbx: 0, rcx: 0, rdx: 0), "\(trap) \(leaves)")
            }
        }
    }

    func testBothTotalsAreInOneAnswer() throws {
        try forEachTrap(.totals) { trap, leaves in
            let question = Questions.Question(leaf: 0x4fff_ffff, subleaf: 30)
            let answers = try Questions.ask([question, question, question], trap: trap, leaves: leaves).answers
            XCTAssertEqual(answers.map(\.rax), [1, 2, 3], "\(trap) \(leaves)")
            XCTAssertEqual(answers.map(\.rdx), [0, 0, 0])
            XCTAssertEqual(answers.map(\.rbx), [0, 0, 0], "fewer than 2^32 cycles")
            XCTAssertEqual(answers.first?.rcx, 0, "no exit has finished when the first is serviced")
            XCTAssertLessThan(answers[1].rcx, answers[2].rcx)
        }
    }

    func testLeavesThatTheLayoutDoesNotHaveAreZeros() throws {
        for trap in try TestKVM.workingTraps() {
            let questions = [0x4fff_fffc, 0x4fff_fffd].flatMap { leaf in
                [UInt32(0), 10, 35].map { Questions.Question(leaf: leaf, subleaf: $0) }
            }
            let (answers, run) = try Questions.ask(questions, trap: trap, leaves: .s21)
            XCTAssertEqual(answers, questions.map { _ in .zeros }, "\(trap)")
            XCTAssertEqual(run.exits(.cpuid), 6, "they are CPUIDs all the same")
        }
    }

    func testCountOfATypeIncludesTheQuestionAndKeepsECX() throws {
        try forEachTrap(.exitsOfType) { trap, leaves in
            let number = leaf(.exitsOfType, leaves)
            let types: [UInt32] = [10, 30, 10, 12, 48]
            let questions = types.map { Questions.Question(leaf: number, subleaf: $0) }
            let answers = try Questions.ask(questions, trap: trap, leaves: leaves).answers
            let expected = zip([UInt64(1), 0, 3, 0, 0], types).map {
                Questions.Answer(rax: $0, rbx: 0, rcx: UInt64($1), rdx: 0)
            }
            XCTAssertEqual(answers, expected, "\(trap) \(leaves)")
        }
    }

    func testTotalCyclesKeepEAXAndNeverFall() throws {
        try forEachTrap(.totalCycles) { trap, leaves in
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
        try forEachTrap(.cyclesOfType) { trap, leaves in
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
        for question in [CounterLeaves.Question.exitsOfType, .cyclesOfType] {
            try forEachTrap(question) { trap, leaves in
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
        for question in [CounterLeaves.Question.exitsOfType, .cyclesOfType] {
            try forEachTrap(question) { trap, leaves in
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

    func testExitTypesInAMDsNumbers() throws {
        // 0x72 CPUID, 0x7b I/O, 0x78 HLT; 0x6e RDTSC is defined and no exit of this process; no code is 0xa7, 10 is CR10.
        let types: [UInt32] = [0x72, 0x7b, 0x78, 0x72, 0x6e, 10, 0xa7, 0x3ff, 0x404, .max]
        let numbers: [UInt64] = [1, 0, 0, 4]
        try forEachTrap(.exitsOfType) { trap, leaves in
            let questions = types.map { Questions.Question(leaf: leaf(.exitsOfType, leaves), subleaf: $0) }
            let (answers, run) = try Questions.ask(questions, trap: trap, leaves: leaves, exitTypes: .svm)
            let expected =
                zip(numbers, types).map { Questions.Answer(rax: $0, rbx: 0, rcx: UInt64($1), rdx: 0) }
                + [.zeros, .zeros]
                + Array(repeating: Questions.Answer(rax: 0, rbx: 0, rcx: 0, rdx: 0xffff_ffff), count: 4)
            XCTAssertEqual(answers, expected, "\(trap) \(leaves)")
            XCTAssertEqual(run.outcome.counterLeaves?.numbering, .svm)
        }
    }

    func testSumOverAMDsCodesIsTheTotal() throws {
        for trap in try TestKVM.workingTraps() {
            let codes = (UInt32(0)...0x403).filter { SVMExitCode(rawValue: $0) != nil }
            let questions = codes.map { Questions.Question(leaf: leaf(.exitsOfType, .s21), subleaf: $0) }
            let answers = try Questions.ask(questions, trap: trap, leaves: .s21, exitTypes: .svm).answers
            // Only CPUID exits happen here; the question for 0x72 is the 115th, and the only one that sees any.
            XCTAssertEqual(answers.reduce(0) { $0 + $1.rax }, 0x73)
        }
    }

    func testOutcomeTellsWhatWasAsked() throws {
        for trap in try TestKVM.workingTraps() {
            let types = (UInt32(0)...69).map { Questions.Question(leaf: 0x4fff_fffe, subleaf: $0) }
            let total = Questions.Question(leaf: 0x4fff_ffff, subleaf: 5)
            let other = Questions.Question(leaf: 0, subleaf: 1000)
            let run = try Questions.ask(types + [total, other, total], trap: trap).run
            let use = try XCTUnwrap(run.outcome.counterLeaves)
            XCTAssertEqual(use.layout, .f22)
            XCTAssertEqual(use.numbering, .sdm)
            XCTAssertEqual(use.asked.map(\.leaf), [0x4fff_fffe, 0x4fff_ffff])
            XCTAssertEqual(use.asked.map(\.count), [70, 2])
            XCTAssertEqual(use.asked.map(\.minimumECX), [0, 5])
            XCTAssertEqual(use.asked.map(\.maximumECX), [69, 5])
            XCTAssertEqual(use.likelierLayouts, [.s21])
        }
        XCTAssertNil(try Questions.ask([.init(leaf: 0, subleaf: 0)], trap: .none).run.outcome.counterLeaves)
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
