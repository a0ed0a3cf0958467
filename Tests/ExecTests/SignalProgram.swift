@testable import Boot
@testable import Exec
@testable import TestSupport

/// A program for the 64-bit mode that handles SIGSEGV itself, and brings 1,000 of them about with an instruction that
/// only a kernel may execute. Between them it asks for the total of exits.
///
/// Status 0: the handler was called each time with what the processor says of a general-protection fault, the flags were
/// kept, and the answers rose. 1: not so.
enum SignalProgram {
    private static let count: UInt32 = 1000
    private static let siginfoAndRestorer: UInt64 = 0x0400_0004

    /// Where parts of the code start.
    private enum Offset {
        static let handler: UInt64 = 0x40
        static let restorer: UInt64 = 0x67
        /// In the data, behind the struct that rt_sigaction(2) takes.
        static let calls: UInt32 = 32
    }

    /// The file.
    static var file: [UInt8] {
        let address = UInt64(StaticProgram.codeAddress(.wide))
        var data: [UInt8] = []
        for word in [address + Offset.handler, siginfoAndRestorer, address + Offset.restorer, 0, 0] {
            data.append(integer: word)
        }
        return StaticProgram.file(
            .wide, code: { main($0) + handler($0) + check($0) + StaticProgram.exit(.wide) }, data: data)
    }

    private static func main(_ data: UInt32) -> [UInt8] {
        [0xbe] + StaticProgram.bytes(data)  // mov esi, data
            + [
                0xbf, 0x0b, 0x00, 0x00, 0x00,  // mov edi, 11: SIGSEGV
                0x31, 0xd2,  // xor edx, edx
                0x41, 0xba, 0x08, 0x00, 0x00, 0x00,  // mov r10d, 8
                0xb8, 0x0d, 0x00, 0x00, 0x00,  // mov eax, 13: rt_sigaction
                0x0f, 0x05,  // syscall
                0x41, 0xbd,  // mov r13d, count
            ] + StaticProgram.bytes(count)
            + [
                0xb8, 0xfc, 0xff, 0xff, 0x4f,  // next: mov eax, 0x4ffffffc
                0x0f, 0xa2,  // cpuid
                0x41, 0x89, 0xc6,  // mov r14d, eax
                0xf9,  // stc
                0xf4,  // hlt
                0x73, 0x4f,  // jnc wrong
                0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
                0x0f, 0xa2,  // cpuid
                0x44, 0x39, 0xf0,  // cmp eax, r14d
                0x76, 0x43,  // jbe wrong
                0x41, 0xff, 0xcd,  // dec r13d
                0x75, 0xe1,  // jnz next
                0xeb, 0x2e,  // jmp check
            ]
    }

    /// The handler of the signal, and what it returns to. Source: the kernel's arch/x86/include/uapi/asm/sigcontext.h.
    private static func handler(_ data: UInt32) -> [UInt8] {
        [
            0x83, 0xba, 0xc8, 0x00, 0x00, 0x00, 0x0d,  // cmp dword [rdx + 200], 13: the vector
            0x75, 0x33,  // jne wrong
            0x83, 0xba, 0xc0, 0x00, 0x00, 0x00, 0x00,  // cmp dword [rdx + 192], 0: the error code
            0x75, 0x2a,  // jne wrong
            0x80, 0x7e, 0x08, 0x80,  // cmp byte [rsi + 8], 0x80: SI_KERNEL
            0x75, 0x24,  // jne wrong
            0x48, 0xff, 0x82, 0xa8, 0x00, 0x00, 0x00,  // inc qword [rdx + 168]: RIP
            0xff, 0x04, 0x25,  // inc dword [calls]
        ] + StaticProgram.bytes(data + Offset.calls)
            + [
                0xc3,  // ret
                0xb8, 0x0f, 0x00, 0x00, 0x00,  // restorer: mov eax, 15: rt_sigreturn
                0x0f, 0x05,  // syscall
            ]
    }

    private static func check(_ data: UInt32) -> [UInt8] {
        [0x8b, 0x04, 0x25] + StaticProgram.bytes(data + Offset.calls)  // check: mov eax, [calls]
            + [0x2d] + StaticProgram.bytes(count)  // sub eax, count
            + [
                0x74, 0x05,  // jz end
                0xb8, 0x01, 0x00, 0x00, 0x00,  // wrong: mov eax, 1
            ]  // end:
    }
}
