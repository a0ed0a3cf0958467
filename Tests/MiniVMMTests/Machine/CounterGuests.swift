@testable import Counters
@testable import TestSupport

/// The guests with which the counters are checked: the same work in every mode of the processor.
enum CounterGuests {
    /// Where the guests leave what they read.
    static let results: UInt64 = 0x9000

    /// Reads the total, makes ECX-on-entry OUTs, reads the total again; leaves the two at `results` and `results` + 4.
    static func twoReadings(_ leaves: CounterLeaves) -> [UInt8] {
        let leaf: UInt32 = leaves == .f22 ? 0x4fff_fffc : 0x4fff_ffff
        let b = withUnsafeBytes(of: leaf.littleEndian, Array.init)
        return [
            0x66, 0x89, 0xcf,  // mov edi, ecx
            0x66, 0xb8, b[0], b[1], b[2], b[3],  // mov eax, leaf
            0x0f, 0xa2,  // cpuid
            0x66, 0xa3, 0x00, 0x90,  // mov [0x9000], eax
            0x66, 0x85, 0xff,  // test edi, edi
            0x74, 0x06,  // jz past the loop
            0xe6, 0x80,  // out 0x80, al
            0x66, 0x4f,  // dec edi
            0x75, 0xfa,  // jnz to the out
            0x66, 0xb8, b[0], b[1], b[2], b[3],  // mov eax, leaf
            0x0f, 0xa2,  // cpuid
            0x66, 0xa3, 0x04, 0x90,  // mov [0x9004], eax
            0xf4,  // hlt
        ]
    }

    /// The same for a 32-bit code segment. In 64-bit code, too, except that `dec edi` is longer there.
    static func twoReadings32(_ leaves: CounterLeaves) -> [UInt8] {
        let leaf: UInt32 = leaves == .f22 ? 0x4fff_fffc : 0x4fff_ffff
        let b = withUnsafeBytes(of: leaf.littleEndian, Array.init)
        return [
            0x89, 0xcf,  // mov edi, ecx
            0xb8, b[0], b[1], b[2], b[3],  // mov eax, leaf
            0x0f, 0xa2,  // cpuid
            0xbe, 0x00, 0x90, 0x00, 0x00,  // mov esi, 0x9000
            0x89, 0x06,  // mov [esi], eax
            0x85, 0xff,  // test edi, edi
            0x74, 0x06,  // jz past the loop
            0xe6, 0x80,  // out 0x80, al
            0xff, 0xcf,  // dec edi
            0x75, 0xfa,  // jnz to the out
            0xb8, b[0], b[1], b[2], b[3],  // mov eax, leaf
            0x0f, 0xa2,  // cpuid
            0x89, 0x46, 0x04,  // mov [esi + 4], eax
            0xf4,  // hlt
        ]
    }

    /// Asks CPUID a list of questions in 64-bit mode.
    ///
    /// RSI on entry: the questions, RAX and RCX of each. RDI: where the answers go, RAX, RBX, RCX, RDX of each. RBP:
    /// how many there are. RBX and RDX are all ones before each CPUID.
    static let questions64: [UInt8] = [
        0x48, 0x8b, 0x06,  // mov rax, [rsi]
        0x48, 0x8b, 0x4e, 0x08,  // mov rcx, [rsi + 8]
        0x48, 0xc7, 0xc3, 0xff, 0xff, 0xff, 0xff,  // mov rbx, -1
        0x48, 0xc7, 0xc2, 0xff, 0xff, 0xff, 0xff,  // mov rdx, -1
        0x0f, 0xa2,  // cpuid
        0x48, 0x89, 0x07,  // mov [rdi], rax
        0x48, 0x89, 0x5f, 0x08,  // mov [rdi + 8], rbx
        0x48, 0x89, 0x4f, 0x10,  // mov [rdi + 16], rcx
        0x48, 0x89, 0x57, 0x18,  // mov [rdi + 24], rdx
        0x48, 0x83, 0xc6, 0x10,  // add rsi, 16
        0x48, 0x83, 0xc7, 0x20,  // add rdi, 32
        0x48, 0xff, 0xcd,  // dec rbp
        0x75, 0xcd,  // jnz to the start
        0xf4,  // hlt
    ]
}
