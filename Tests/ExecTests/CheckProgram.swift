@testable import Boot
@testable import Counters
@testable import Exec
@testable import KVM
@testable import TestSupport

/// A program that checks what CPUID answers, and that the counter of exits lives: its status is 0, or 1 when an answer
/// is wrong.
struct CheckProgram {
    let questions: [LeafProgram.Question]
    let answers: [CPUIDResult]

    /// The file.
    func file(_ format: ELFClass) -> [UInt8] {
        var data: [UInt8] = []
        for (question, answer) in zip(questions, answers) {
            for value in [question.leaf, question.subleaf, answer.eax, answer.ebx, answer.ecx, answer.edx] {
                data.append(integer: value)
            }
        }
        let size = UInt32(data.count)
        return StaticProgram.file(
            format, code: { Self.check($0, $0 + size) + StaticProgram.exit(format) }, data: data)
    }

    /// The same bytes in both modes.
    private static func check(_ table: UInt32, _ end: UInt32) -> [UInt8] {
        [0xbe] + StaticProgram.bytes(table)  // mov esi, table
            + [0xbf] + StaticProgram.bytes(end)  // mov edi, end
            + [
                0x8b, 0x06,  // next: mov eax, [rsi]
                0x8b, 0x4e, 0x04,  // mov ecx, [rsi + 4]
                0x0f, 0xa2,  // cpuid
                0x3b, 0x46, 0x08,  // cmp eax, [rsi + 8]
                0x75, 0x2e,  // jne wrong
                0x3b, 0x5e, 0x0c,  // cmp ebx, [rsi + 12]
                0x75, 0x29,  // jne wrong
                0x3b, 0x4e, 0x10,  // cmp ecx, [rsi + 16]
                0x75, 0x24,  // jne wrong
                0x3b, 0x56, 0x14,  // cmp edx, [rsi + 20]
                0x75, 0x1f,  // jne wrong
                0x83, 0xc6, 0x18,  // add esi, 24
                0x39, 0xfe,  // cmp esi, edi
                0x72, 0xde,  // jb next
                0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
                0x0f, 0xa2,  // cpuid
                0x89, 0xc5,  // mov ebp, eax
                0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
                0x0f, 0xa2,  // cpuid
                0x39, 0xe8,  // cmp eax, ebp
                0x76, 0x04,  // jbe wrong
                0x31, 0xc0,  // xor eax, eax
                0xeb, 0x05,  // jmp end
                0xb8, 0x01, 0x00, 0x00, 0x00,  // wrong: mov eax, 1
            ]  // end:
    }
}
