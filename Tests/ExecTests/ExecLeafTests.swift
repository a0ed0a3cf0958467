@testable import Boot
@testable import Counters
@testable import Exec
@testable import KVM
@testable import TestSupport
import XCTest

/// Every leaf that a program asks for is answered as KVM answers it where nothing traps it.
final class ExecLeafTests: ExecTestCase {
    /// What the classes of leaves start with, and what lies beyond the last leaf of each.
    private static let leaves: [ClosedRange<UInt32>] = [
        0...0x20, 0x4000_0000...0x4000_0020, 0x8000_0000...0x8000_0020,
        0x24...0x24, 0x7fff_ffff...0x7fff_ffff, 0x4000_0100...0x4000_0101, 0x4fff_fffb...0x4fff_fffb,
        0x8fff_ffff...0x8fff_ffff, 0xc000_0000...0xc000_0004, 0xffff_ffff...0xffff_ffff,
    ]
    /// As many as any leaf has, and two beyond.
    private static let subleaves: [UInt32] = Array(0...0x40) + [0x100, .max]

    static let questions: [LeafProgram.Question] = leaves.joined().flatMap { leaf in
        subleaves.map { LeafProgram.Question(leaf: leaf, subleaf: $0) }
    }
    /// CPUID's leaf of features, which holds the id of the processor's APIC.
    private static let features = LeafProgram.Question(leaf: 1)

    /// The answers of two processors, each asked by a program for the 64-bit mode and by one for the 32-bit mode.
    private func answers(_ options: [String]) throws -> [[CPUIDResult]] {
        let folder = try makeFolder()
        var paths: [String] = []
        for processor in 0..<2 {
            let program = LeafProgram(questions: Self.questions, processor: processor)
            for (name, format) in [("wide", ELFClass.wide), ("narrow", .narrow)] {
                paths.append(try self.program("\(name)\(processor)", program.file(format), in: folder))
            }
        }
        let run = try exec(
            options + ["--cpus", "2"] + paths.flatMap { ["--add", $0] }
                + ["--", "/bin/sh", "-c", paths.joined(separator: " && ")])
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "")
        return try XCTUnwrap(
            LeafProgram(questions: Self.questions).answers(run.output, runs: paths.count),
            "\(run.output.count) bytes")
    }

    func testEveryLeafIsAnsweredAsKVMDoes() throws {
        let trapped = try answers([])
        let untrapped = try answers(["--cpuid-trap", "none"])
        let program = LeafProgram(questions: Self.questions)
        for (index, (answers, expected)) in zip(trapped, untrapped).enumerated() {
            let differences = program.differences(answers, from: expected)
            XCTAssertEqual(differences.prefix(20), [], "program \(index): \(differences.count)")
        }
        // The bits that differ from one processor to the other were there to be compared.
        let index = try XCTUnwrap(Self.questions.firstIndex(of: Self.features))
        XCTAssertEqual(untrapped.map { $0[index].ebx >> 24 }, [0, 0, 1, 1])
        XCTAssertEqual(trapped.map { $0[index].ebx >> 24 }, [0, 0, 1, 1])
    }

    /// The least rise between two questions for the total, with nothing between: now and then the guest's kernel
    /// interrupts a program and makes exits of its own.
    private func leastRise(_ options: [String], _ leaves: CounterLeaves) throws -> [UInt32?] {
        let folder = try makeFolder()
        let total = CounterLeaves.range.first { [.totalExits, .totals].contains(leaves.question(of: $0)) }
        let question = LeafProgram.Question(leaf: try XCTUnwrap(total))
        let program = LeafProgram(questions: Array(repeating: question, count: 64))
        let paths = [
            try self.program("wide", program.file(.wide), in: folder),
            try self.program("narrow", program.file(.narrow), in: folder),
        ]
        let run = try exec(
            options + ["--leaves", leaves.rawValue] + paths.flatMap { ["--add", $0] }
                + ["--", "/bin/sh", "-c", paths.joined(separator: " && ")])
        run.assertStatus(0)
        let answers = try XCTUnwrap(program.answers(run.output, runs: 2), "\(run.output.count) bytes")
        return answers.map { answers in zip(answers, answers.dropFirst()).map { $1.eax &- $0.eax }.min() }
    }

    func testProgramsReadLiveCounters() throws {
        for leaves in CounterLeaves.allCases {
            // Where everything is emulated and the machine is busy, the kernel's timer can come between all of them.
            var rises: [UInt32?] = []
            for _ in 0..<3 where rises != [1, 1] { rises = try leastRise([], leaves) }
            XCTAssertEqual(rises, [1, 1])
        }
        XCTAssertEqual(try leastRise(["--cpuid-trap", "none"], .f22), [0, 0])
    }
}
