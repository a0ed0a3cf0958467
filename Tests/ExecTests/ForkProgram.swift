@testable import Boot
@testable import Exec
@testable import TestSupport

/// A program for the 64-bit mode that forks many times, and waits for each child.
///
/// A child asks for the total of exits twice, and executes one of two programs, which take turns. Status 0: every one of
/// them ended with status 0. 1: one did not. 2: fork(2) or wait4(2) failed.
struct ForkProgram {
    let count: UInt32
    /// The programs.
    let even: String
    let odd: String

    /// What stands in the data, and where.
    private enum Place {
        static let status: UInt32 = 0
        /// Two argument lists of one argument each.
        static let arguments: UInt32 = 8
        static let argumentsSize: UInt32 = 16
        static let strings: UInt32 = 40
    }

    /// The file.
    var file: [UInt8] {
        let strings = [even, odd].map { Array($0.utf8) + [0] }
        return StaticProgram.file(
            .wide,
            code: { Self.fillIn($0, evenSize: UInt32(strings[0].count)) + parent($0) + Self.child($0) },
            data: [UInt8](repeating: 0, count: Int(Place.strings)) + strings[0] + strings[1])
    }

    /// Writes the addresses of the names into the argument lists.
    private static func fillIn(_ data: UInt32, evenSize: UInt32) -> [UInt8] {
        let names = [data + Place.strings, data + Place.strings + evenSize]
        return names.enumerated().flatMap { index, name in
            [0xc7, 0x04, 0x25]  // mov dword [list], name
                + StaticProgram.bytes(data + Place.arguments + UInt32(index) * Place.argumentsSize)
                + StaticProgram.bytes(name)
        }
    }

    private func parent(_ data: UInt32) -> [UInt8] {
        [0xbd] + StaticProgram.bytes(count)  // mov ebp, count
            + [
                0xb8, 0x39, 0x00, 0x00, 0x00,  // next: mov eax, 57: fork
                0x0f, 0x05,  // syscall
                0x85, 0xc0,  // test eax, eax
                0x78, 0x33,  // js failed
                0x74, 0x3f,  // jz child
                0x89, 0xc7,  // mov edi, eax
                0x89, 0xc3,  // mov ebx, eax
            ]
            + [0xbe] + StaticProgram.bytes(data + Place.status)  // mov esi, status
            + [
                0x31, 0xd2,  // xor edx, edx
                0x45, 0x31, 0xd2,  // xor r10d, r10d
                0xb8, 0x3d, 0x00, 0x00, 0x00,  // mov eax, 61: wait4
                0x0f, 0x05,  // syscall
                0x39, 0xd8,  // cmp eax, ebx
                0x75, 0x18,  // jne failed
            ]
            + [0x8b, 0x04, 0x25] + StaticProgram.bytes(data + Place.status)  // mov eax, [status]
            + [
                0x85, 0xc0,  // test eax, eax
                0x75, 0x06,  // jnz wrong
                0xff, 0xcd,  // dec ebp
                0x75, 0xcb,  // jnz next
                0xeb, 0x0c,  // jmp end
                0xb8, 0x01, 0x00, 0x00, 0x00,  // wrong: mov eax, 1
                0xeb, 0x05,  // jmp end
                0xb8, 0x02, 0x00, 0x00, 0x00,  // failed: mov eax, 2
            ]
            + StaticProgram.exit(.wide)  // end:
    }

    private static func child(_ data: UInt32) -> [UInt8] {
        [
            0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
            0x0f, 0xa2,  // cpuid
            0x89, 0xc6,  // mov esi, eax
            0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
            0x0f, 0xa2,  // cpuid
            0x39, 0xf0,  // cmp eax, esi
            0x76, 0x1a,  // jbe end
            0x89, 0xee,  // mov esi, ebp
            0x83, 0xe6, 0x01,  // and esi, 1
            0xc1, 0xe6, 0x04,  // shl esi, 4
            0x81, 0xc6,  // add esi, lists
        ] + StaticProgram.bytes(data + Place.arguments)
            + [
                0x48, 0x8b, 0x3e,  // mov rdi, [rsi]
                0x31, 0xd2,  // xor edx, edx
                0xb8, 0x3b, 0x00, 0x00, 0x00,  // mov eax, 59: execve
                0x0f, 0x05,  // syscall
                0x0f, 0x0b,  // end: ud2
            ]
    }
}
