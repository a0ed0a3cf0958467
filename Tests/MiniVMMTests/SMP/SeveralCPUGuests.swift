@testable import TestSupport
/// Flat guests of a few bytes that put several CPUs to work.
enum SeveralCPUGuests {
    /// Starts all other CPUs, by INIT and start-up from the boot processor's local APIC in x2APIC mode. All CPUs, the
    /// boot processor included, go on at the end of these bytes.
    static let startAll: [UInt8] = [
        0x66, 0x89, 0x0e, 0x00, 0x90,  // mov [0x9000], ecx: the argument
        0xc6, 0x06, 0x00, 0xa0, 0xea,  // mov byte ptr [0xa000], 0xea: jmp far
        0xc7, 0x06, 0x01, 0xa0, 0x3f, 0x7c,  // mov word ptr [0xa001], 0x7c3f: to the end of these bytes
        0xc7, 0x06, 0x03, 0xa0, 0x00, 0x00,  // mov word ptr [0xa003], 0
        0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00,  // mov ecx, 0x1b: IA32_APIC_BASE
        0x0f, 0x32,  // rdmsr
        0x66, 0x0d, 0x00, 0x0c, 0x00, 0x00,  // or eax, 0xc00: enabled, x2APIC
        0x0f, 0x30,  // wrmsr
        0x66, 0xb9, 0x30, 0x08, 0x00, 0x00,  // mov ecx, 0x830: the interrupt command register
        0x66, 0x31, 0xd2,  // xor edx, edx
        0x66, 0xb8, 0x00, 0x45, 0x0c, 0x00,  // mov eax, 0xc4500: INIT to all others
        0x0f, 0x30,  // wrmsr
        0x66, 0xb8, 0x0a, 0x46, 0x0c, 0x00,  // mov eax, 0xc460a: start-up at 0xa000
        0x0f, 0x30,  // wrmsr
    ]

    /// Each CPU takes a number, in the order in which they come. The one that gets the number in the argument's low
    /// byte makes as many OUTs as the bits above say, and ends the run with its number. Of the others the even ones
    /// make OUTs for ever, number 1 and every fourth from there loops, number 3 and every fourth from there halts.
    static let oneEndsTheRun: [UInt8] =
        startAll + [
            0xb8, 0x01, 0x00,  // mov ax, 1
            0xf0, 0x0f, 0xc1, 0x06, 0x04, 0x90,  // lock xadd [0x9004], ax
            0x3a, 0x06, 0x00, 0x90,  // cmp al, [0x9000]
            0x75, 0x13,  // jne to the test
            0x66, 0x8b, 0x0e, 0x00, 0x90,  // mov ecx, [0x9000]
            0x66, 0xc1, 0xe9, 0x08,  // shr ecx, 8
            0x74, 0x06,  // jz past the loop
            0xe6, 0x80,  // out 0x80, al
            0x66, 0x49,  // dec ecx
            0x75, 0xfa,  // jnz to the out
            0xe6, 0xf4,  // out 0xf4, al
            0xa8, 0x01,  // test al, 1
            0x75, 0x04,  // jnz past the loop
            0xe6, 0x80,  // out 0x80, al
            0xeb, 0xfc,  // jmp to the out
            0xa8, 0x02,  // test al, 2
            0x75, 0x04,  // jnz past the loop
            0xf3, 0x90,  // pause
            0xeb, 0xfc,  // jmp to the pause
            0xfa,  // cli
            0xf4,  // hlt
            0xeb, 0xfc,  // jmp to the cli
        ]

    /// Each CPU halts, with interrupts off.
    static let allHalt: [UInt8] =
        startAll + [
            0xfa,  // cli
            0xf4,  // hlt
            0xeb, 0xfd,  // jmp to the hlt
        ]

    /// The boot processor halts with interrupts off. The others count 2^28 cycles of the time-stamp counter, about a
    /// tenth of a second, and send it an NMI, whose handler ends the run with status 7.
    static let bootProcessorWaitsForNMI: [UInt8] =
        startAll + [
            0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00,  // mov ecx, 0x1b: IA32_APIC_BASE
            0x0f, 0x32,  // rdmsr
            0xf6, 0xc4, 0x01,  // test ah, 1: the boot processor?
            0x74, 0x16,  // jz to the others' part
            0xc7, 0x06, 0x08, 0x00, 0x5c, 0x7c,  // mov word ptr [8], 0x7c5c: the handler of vector 2
            0xc7, 0x06, 0x0a, 0x00, 0x00, 0x00,  // mov word ptr [10], 0
            0xfa,  // cli
            0xf4,  // hlt
            0xeb, 0xfd,  // jmp to the hlt
            0xb0, 0x07,  // the handler, at 0x7c5c: mov al, 7
            0xe6, 0xf4,  // out 0xf4, al
            0xeb, 0xfe,  // jmp to itself
            0x66, 0x0d, 0x00, 0x0c, 0x00, 0x00,  // the others: or eax, 0xc00: enabled, x2APIC
            0x0f, 0x30,  // wrmsr
            0x0f, 0x31,  // rdtsc
            0x66, 0x89, 0xc6,  // mov esi, eax
            0xf3, 0x90,  // pause
            0x0f, 0x31,  // rdtsc
            0x66, 0x29, 0xf0,  // sub eax, esi
            0x66, 0x3d, 0x00, 0x00, 0x00, 0x10,  // cmp eax, 1 << 28
            0x72, 0xf1,  // jb to the pause
            0x66, 0xb9, 0x30, 0x08, 0x00, 0x00,  // mov ecx, 0x830: the interrupt command register
            0x66, 0x31, 0xd2,  // xor edx, edx: to the boot processor
            0x66, 0xb8, 0x00, 0x44, 0x00, 0x00,  // mov eax, 0x4400: NMI
            0x0f, 0x30,  // wrmsr
            0xfa,  // cli
            0xf4,  // hlt
            0xeb, 0xfd,  // jmp to the hlt
        ]

    /// The argument of ``oneEndsTheRun``.
    ///
    /// - Parameters:
    ///   - number: Which CPU ends the run, in the order in which they come; nil for none of the first 255.
    ///   - outs: How many OUTs it makes before.
    static func argument(ending number: UInt8?, afterOuts outs: UInt32) -> UInt32 {
        outs << 8 | UInt32(number ?? 0xff)
    }

    /// The boot processor makes OUTs for ever; the others execute INT 42h, for which there is no handler.
    static let othersDie: [UInt8] =
        startAll + [
            0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00,  // mov ecx, 0x1b: IA32_APIC_BASE
            0x0f, 0x32,  // rdmsr
            0xf6, 0xc4, 0x01,  // test ah, 1: the boot processor?
            0x74, 0x04,  // jz past the loop
            0xe6, 0x80,  // out 0x80, al
            0xeb, 0xfc,  // jmp to the out
            0xcd, 0x42,  // int 0x42
        ]
}
