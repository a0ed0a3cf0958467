@testable import Counters
@testable import KVM
@testable import TestSupport
import XCTest

/// Every leaf but the counters' is answered by a trap as KVM answers it without one.
final class OrdinaryLeafTests: XCTestCase {
    /// All leaves of the three ranges, with a few subleaves each, and some that are out of range.
    private static let questions: [Questions.Question] = {
        var questions: [Questions.Question] = []
        let leaves =
            Array(UInt32(0)...0x24) + Array(UInt32(0x4000_0000)...0x4000_0010)
            + Array(UInt32(0x8000_0000)...0x8000_0024)
            + [0x4000_0100, 0x4fff_fffb, 0x5000_0000, 0x7fff_ffff, 0x8fff_ffff, 0xc000_0000, 0xc000_0001, .max]
        for leaf in leaves {
            for subleaf in [UInt32(0), 1, 2, 3, 17, 0xff, .max] {
                questions.append(Questions.Question(leaf: leaf, subleaf: subleaf))
            }
        }
        return questions
    }()

    func testAnswersAreKVMsOwn() throws {
        let native = try Questions.ask(Self.questions, trap: .none).answers
        for trap in try TestKVM.workingTraps() {
            let trapped = try Questions.ask(Self.questions, trap: trap).answers
            for (index, question) in Self.questions.enumerated() where trapped[index] != native[index] {
                XCTFail(
                    "\(trap): leaf 0x\(String(question.leaf, radix: 16)) subleaf \(question.subleaf):"
                        + " \(trapped[index]), and KVM answers \(native[index])")
            }
        }
    }

    func testTheHypervisorBitIsSet() throws {
        for trap in try [.none] + TestKVM.workingTraps() {
            let answers = try Questions.ask([Questions.Question(leaf: 1, subleaf: 0)], trap: trap).answers
            XCTAssertEqual(answers.first.map { $0.rcx >> 31 & 1 }, 1, "\(trap)")
        }
    }
}
