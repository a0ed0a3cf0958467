@testable import Boot
@testable import Counters
@testable import Exec
@testable import KVM
@testable import TestSupport
import XCTest

/// Many processes in one guest, of both modes in turn, each of which checks what CPUID answers.
final class ExecForkTests: ExecTestCase {
    private static let count: UInt32 = TestExtent.of(200, exhaustive: 10_000)
    /// The seconds that it may take.
    private static let limit = TestExtent.of(ChildProcess.limit, exhaustive: 1500)

    /// What a C library asks for when a program starts, and more of the kind.
    private static let questions: [LeafProgram.Question] = [
        (0, 0), (1, 0), (2, 0), (4, 0), (4, 1), (4, 2), (4, 3), (4, 4), (5, 0), (6, 0), (7, 0), (7, 1), (7, 2),
        (0xa, 0), (0xb, 0), (0xb, 1), (0xd, 0), (0xd, 1), (0xd, 2), (0x14, 0), (0x19, 0), (0x20, 0), (0x4000_0000, 0),
        (0x4000_0001, 0), (0x8000_0000, 0), (0x8000_0001, 0), (0x8000_0002, 0), (0x8000_0003, 0), (0x8000_0004, 0),
        (0x8000_0005, 0), (0x8000_0006, 0), (0x8000_0007, 0), (0x8000_0008, 0), (0x8000_001d, 0), (0x8000_001e, 0),
    ].map { LeafProgram.Question(leaf: $0.0, subleaf: $0.1) }

    func testForksAndExecs() throws {
        let folder = try makeFolder()
        let asking = LeafProgram(questions: Self.questions)
        let asked = try exec(["--cpuid-trap", "none", "--", program("ask", asking.file(.wide), in: folder)])
        let answers = try XCTUnwrap(asking.answers(asked.output)?.first, asked.errors)

        let check = CheckProgram(questions: Self.questions, answers: answers)
        let children = [
            try program("wide", check.file(.wide), in: folder), try program("narrow", check.file(.narrow), in: folder),
        ]
        let forking = ForkProgram(count: Self.count, even: children[0], odd: children[1])
        let parent = try program("fork", forking.file, in: folder)
        let run = try exec(
            children.flatMap { ["--add", $0] } + ["--", parent], statistics: folder.path("stats.json"),
            limit: Self.limit)
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "")
        // Four questions for the total besides: the child's two between fork and exec, and the program's two.
        let kinds = try JSONValue(folder.bytes("stats.json"))["kinds"]?.elements ?? []
        let count = kinds.first { $0["kind"]?.string == "cpuid" }?["exits"]?.integer
        XCTAssertEqual(count, Int64(Self.count) * Int64(Self.questions.count + 4))
    }

    func testAWrongAnswerIsNoticed() throws {
        let folder = try makeFolder()
        let wrong = CheckProgram(questions: [.init(leaf: 0x4fff_fffe, subleaf: 35)], answers: [CPUIDResult(edx: 1)])
        let right = CheckProgram(questions: wrong.questions, answers: [CPUIDResult(edx: .max)])
        var paths: [String] = []
        for (name, check) in [("wrong", wrong), ("right", right)] {
            for format in [ELFClass.wide, .narrow] {
                let path = try program("\(name)\(format.wordSize)", check.file(format), in: folder)
                paths.append(path)
            }
        }
        let forking = ForkProgram(count: 3, even: paths[1], odd: paths[2])
        paths.append(try program("fork", forking.file, in: folder))
        let script = paths.map { "\($0); echo $?" }.joined(separator: "; ")
        let run = try exec(paths.flatMap { ["--add", $0] } + ["--", "/bin/sh", "-c", script])
        XCTAssertEqual(run.outputText, "1\n1\n0\n0\n1\n", run.errors)
    }
}
