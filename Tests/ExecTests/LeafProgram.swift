@testable import Boot
@testable import Counters
@testable import Exec
@testable import Host
@testable import KVM
@testable import TestSupport

/// A program that executes CPUID for each of a list of questions, with nothing between but a few instructions that do
/// not exit, and then writes the registers to standard output.
struct LeafProgram {
    /// EAX and ECX on input.
    struct Question: Hashable {
        var leaf: UInt32
        var subleaf: UInt32 = 0
    }

    let questions: [Question]
    /// The processor to ask, or nil for whichever it is.
    var processor: Int?

    /// The bytes of an answer: EAX, EBX, ECX, EDX.
    private static let answerSize = 16

    /// The file.
    func file(_ format: ELFClass) -> [UInt8] {
        var data: [UInt8] = []
        for question in questions {
            data.append(integer: question.leaf)
            data.append(integer: question.subleaf)
            data.append(integer: UInt64(0))
        }
        let end = UInt32(data.count)
        data.append(integer: UInt64(1) << UInt64(processor ?? 0))
        return StaticProgram.file(
            format,
            code: { table in
                (processor == nil ? [] : Self.choose(format, mask: table + end))
                    + Self.ask(table, table + end) + Self.write(format, table, table + end)
            },
            data: data)
    }

    /// What a number of runs wrote, one after the other.
    func answers(_ output: [UInt8], runs: Int = 1) -> [[CPUIDResult]]? {
        let size = questions.count * Self.answerSize
        guard output.count == size * runs else { return nil }
        return (0..<runs).map { run in
            questions.indices.compactMap { index in
                let start = UInt64(run * size + index * Self.answerSize)
                guard let eax = output.integer(UInt32.self, at: start),
                    let ebx = output.integer(UInt32.self, at: start + 4),
                    let ecx = output.integer(UInt32.self, at: start + 8),
                    let edx = output.integer(UInt32.self, at: start + 12)
                else { return nil }
                return CPUIDResult(eax: eax, ebx: ebx, ecx: ecx, edx: edx)
            }
        }
    }

    /// The answers that are not as they should be, each with its question.
    func differences(_ answers: [CPUIDResult], from expected: [CPUIDResult]) -> [String] {
        zip(questions, zip(answers, expected)).filter { $1.0 != $1.1 }.map { question, answers in
            "leaf \(Hex.number(question.leaf)), \(question.subleaf): \(answers.0) is not \(answers.1)"
        }
    }

    /// Goes to a processor, or ends the program where there is none like that.
    private static func choose(_ format: ELFClass, mask: UInt32) -> [UInt8] {
        let call: [UInt8] =
            format == .wide
            ? [0xb8, 0xcb, 0x00, 0x00, 0x00]  // mov eax, 203: sched_setaffinity
                + [0x31, 0xff, 0xbe, 0x08, 0x00, 0x00, 0x00]  // xor edi, edi; mov esi, 8
                + [0xba] + StaticProgram.bytes(mask)  // mov edx, mask
                + [0x0f, 0x05]  // syscall
            : [0xb8, 0xf1, 0x00, 0x00, 0x00]  // mov eax, 241: sched_setaffinity
                + [0x31, 0xdb, 0xb9, 0x04, 0x00, 0x00, 0x00]  // xor ebx, ebx; mov ecx, 4
                + [0xba] + StaticProgram.bytes(mask)  // mov edx, mask
                + [0xcd, 0x80]  // int 0x80
        // test eax, eax; jns behind the exit
        return call + [0x85, 0xc0, 0x79, 0x09] + StaticProgram.exit(format)
    }

    /// Replaces each question by its answer: the same bytes in both modes.
    private static func ask(_ table: UInt32, _ end: UInt32) -> [UInt8] {
        [0xbe] + StaticProgram.bytes(table)  // mov esi, table
            + [0xbf] + StaticProgram.bytes(end)  // mov edi, end
            + [
                0x8b, 0x06,  // next: mov eax, [rsi]
                0x8b, 0x4e, 0x04,  // mov ecx, [rsi + 4]
                0x0f, 0xa2,  // cpuid
                0x89, 0x06,  // mov [rsi], eax
                0x89, 0x5e, 0x04,  // mov [rsi + 4], ebx
                0x89, 0x4e, 0x08,  // mov [rsi + 8], ecx
                0x89, 0x56, 0x0c,  // mov [rsi + 12], edx
                0x83, 0xc6, 0x10,  // add esi, 16
                0x39, 0xfe,  // cmp esi, edi
                0x72, 0xe7,  // jb next
            ]
    }

    /// Writes the answers, and ends the program: with status 0, or with what went wrong.
    private static func write(_ format: ELFClass, _ table: UInt32, _ end: UInt32) -> [UInt8] {
        let isWide = format == .wide
        return [isWide ? 0xbe : 0xb9] + StaticProgram.bytes(table)  // mov esi or ecx, table
            + [0xba] + StaticProgram.bytes(end)  // again: mov edx, end
            + [0x29, isWide ? 0xf2 : 0xca]  // sub edx, esi or ecx
            + [0x74, 0x14]  // jz done
            + [isWide ? 0xbf : 0xbb, 0x01, 0x00, 0x00, 0x00]  // mov edi or ebx, 1: standard output
            + [0xb8, isWide ? 0x01 : 0x04, 0x00, 0x00, 0x00]  // mov eax, 1 or 4: write
            + (isWide ? [0x0f, 0x05] : [0xcd, 0x80])  // syscall or int 0x80
            + [0x85, 0xc0, 0x78, 0x06]  // test eax, eax; js end
            + [0x01, isWide ? 0xc6 : 0xc1]  // add esi or ecx, eax
            + [0xeb, 0xe3]  // jmp again
            + [0x31, 0xc0]  // done: xor eax, eax
            + StaticProgram.exit(format)  // end:
    }
}
