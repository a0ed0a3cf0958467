/// Code that goes from one thing that exits to the next, with operands that nobody expects, and does anything at all in
/// between: more of it gets somewhere than of random bytes.
struct HostileCode {
    private var generator: SeededGenerator
    private let is32Bit: Bool
    private var bytes: [UInt8] = []

    /// Ports that have a device, or had one on some PC.
    private static let ports: [UInt16] =
        [0x20, 0x21, 0xa0, 0xa1, 0x40, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x92, 0xb2, 0xe9, 0xf4]
        + [0x3d4, 0x3d5, 0x3da, 0x505, 0xcf8, 0xcf9, 0xcfc, 0x2f8, 0x4d0] + Array(0x3f8...0x3ff)
        + Array(0x600...0x60f)
    /// Places where there is a device, a hole, or the end of something.
    private static let addresses: [UInt32] = [
        0, 0x9fffe, 0xa0000, 0xb8000, 0xbffff, 0xf_ffff, 0x10_0000, 0xff_fffe, 0x100_0000, 0xc000_0000, 0xe000_0000,
        0xfec0_0000, 0xfec0_0010, 0xfed0_0000, 0xfee0_0020, 0xfee0_00b0, 0xfee0_00f0, 0xfee0_0300, 0xfee0_0310,
        0xfee0_0320, 0xfee0_0380, 0xffff_f000, 0xffff_fffd,
    ]
    /// MSRs: the TSC, the APIC's base, feature controls, system calls, EFER, bases, PAT, KVM's clock, deadline, x2APIC.
    private static let registers: [UInt32] = [
        0x10, 0x1b, 0x3a, 0x140, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0x277, 0x2ff, 0x6e0, 0x830, 0xc000_0080,
        0xc000_0081, 0xc000_0082, 0xc000_0100, 0xc000_0101, 0xc000_0103, 0x4b56_4d00, 0x4b56_4d01, 0x4b56_4d02,
        0x4b56_4d04, 0x4000_0000, 0x4000_0001,
    ]
    /// Single instructions that exit, fault or change what the processor is doing.
    private static let instructions: [[UInt8]] = [
        [0xf4], [0xfa], [0xfb], [0xfb, 0xf4],  // hlt; cli; sti; sti, hlt
        [0xcc], [0xce], [0xf1], [0x0f, 0x0b],  // int3; into; int1; ud2
        [0x9c, 0x9d], [0xcf], [0xcb],  // pushf, popf; iret; retf
        [0x0f, 0x01, 0xc1], [0x0f, 0x01, 0xd9],  // vmcall; vmmcall
        [0x0f, 0x01, 0xc8], [0x0f, 0x01, 0xc9],  // monitor; mwait
        [0x0f, 0x09], [0x0f, 0x08], [0x0f, 0x31], [0x0f, 0x33],  // wbinvd; invd; rdtsc; rdpmc
        [0x0f, 0x01, 0xd1], [0x0f, 0x01, 0xd0], [0x0f, 0xaa],  // xsetbv; xgetbv; rsm
        [0x0f, 0x20, 0xc0], [0x0f, 0x22, 0xc0], [0x0f, 0x22, 0xd8],  // mov eax, cr0; mov cr0, eax; mov cr3, eax
        [0x0f, 0x22, 0xe0], [0x0f, 0x06],  // mov cr4, eax; clts
        [0x0f, 0x23, 0xc0], [0x0f, 0x23, 0xf8], [0x0f, 0x21, 0xf0],  // mov dr0, eax; mov dr7, eax; mov eax, dr6
        [0x0f, 0x01, 0x18], [0x0f, 0x01, 0x10], [0x0f, 0x01, 0xf0],  // lidt; lgdt [eax or bx+si]; lmsw ax
        [0x0f, 0x00, 0xd8], [0x0f, 0x00, 0xd0],  // ltr ax; lldt ax
        [0x0f, 0x05], [0x0f, 0x34], [0x0f, 0x35],  // syscall; sysenter; sysexit
        [0x0f, 0x01, 0x38], [0xd9, 0xd0], [0x0f, 0x77],  // invlpg; fnop; emms
    ]

    /// The code of a seed.
    static func bytes(seed: UInt64, count: Int, is32Bit: Bool) -> [UInt8] {
        var code = HostileCode(generator: SeededGenerator(seed: seed), is32Bit: is32Bit)
        while code.bytes.count < count { code.addSomething() }
        return Array(code.bytes.prefix(count))
    }

    private init(generator: SeededGenerator, is32Bit: Bool) {
        self.generator = generator
        self.is32Bit = is32Bit
    }

    private mutating func addSomething() {
        switch Int.random(in: 0..<16, using: &generator) {
        case 0...4: addPortAccess()
        case 5...7: addMemoryAccess()
        case 8, 9: addCPUID()
        case 10: addRegisterAccess()
        case 11: bytes += [0xcd, UInt8.random(in: 0...255, using: &generator)]  // int n
        case 12 where is32Bit: addStartOfProcessors()
        case 13: for _ in 0..<Int.random(in: 1...8, using: &generator) { bytes.append(anyByte()) }
        default: bytes += Self.instructions.randomElement(using: &generator) ?? []
        }
    }

    private mutating func anyByte() -> UInt8 { UInt8.random(in: 0...255, using: &generator) }

    /// A number that is often one at which something ends.
    private mutating func anyNumber() -> UInt32 {
        let edges: [UInt32] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, .max]
        return Bool.random(using: &generator)
            ? UInt32.random(in: 0 ... .max, using: &generator) : edges.randomElement(using: &generator) ?? 0
    }

    /// mov eax, ecx or edi, number: `B8`, `B9` or `BF`, with an operand of 32 bits in either mode.
    private mutating func load(_ opcode: UInt8, _ number: UInt32) {
        if !is32Bit { bytes.append(0x66) }
        bytes.append(opcode)
        add(number)
    }

    private mutating func add(_ number: some FixedWidthInteger & UnsignedInteger) {
        for index in 0..<number.bitWidth / 8 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
    }

    private mutating func addPortAccess() {
        let isKnown = Int.random(in: 0..<4, using: &generator) != 0
        let port = isKnown ? Self.ports.randomElement(using: &generator) ?? 0 : UInt16(truncatingIfNeeded: anyNumber())
        load(0xb8, anyNumber())
        bytes += is32Bit ? [0x66, 0xba] : [0xba]  // mov dx, port
        add(port)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0, 1: bytes += [0xec]  // in al, dx
        case 2, 3, 4: bytes += [0xee]  // out dx, al
        case 5: bytes += [[0xed], [0xef], [0x66, 0xed], [0x66, 0xef]].randomElement(using: &generator) ?? []
        case 6:
            // in or out with the port in the instruction
            bytes += [UInt8.random(in: 0xe4...0xe7, using: &generator), anyByte()]
        default:
            load(0xb9, UInt32.random(in: 0..<5000, using: &generator))
            load(0xbf, Self.addresses.randomElement(using: &generator) ?? 0)
            // rep insb, insd, outsb, outsd, forwards or backwards
            bytes += Bool.random(using: &generator) ? [0xfc] : [0xfd]
            bytes += [0xf3, UInt8.random(in: 0x6c...0x6f, using: &generator), 0xfc]
        }
    }

    private mutating func addMemoryAccess() {
        let address = Self.addresses.randomElement(using: &generator) ?? 0
        load(0xb8, anyNumber())
        // mov al or eax, [address], or the other way round
        let opcode = UInt8.random(in: 0xa0...0xa3, using: &generator)
        if is32Bit {
            bytes.append(opcode)
            add(address)
        } else {
            // push segment; pop es; then with es:
            bytes.append(0x68)
            add(UInt16(truncatingIfNeeded: min(address >> 4, 0xffff)))
            bytes += [0x07, 0x26, opcode]
            add(UInt16(truncatingIfNeeded: address & 0xf))
        }
    }

    private mutating func addCPUID() {
        load(0xb8, Bool.random(using: &generator) ? 0x4fff_fffc + UInt32(anyByte() & 3) : anyNumber())
        load(0xb9, anyNumber() & 0xff)
        bytes += [0x0f, 0xa2]
    }

    private mutating func addRegisterAccess() {
        load(0xb8, anyNumber())
        load(0xb9, Self.registers.randomElement(using: &generator) ?? 0)
        bytes += [0x0f, Bool.random(using: &generator) ? 0x30 : 0x32]  // wrmsr or rdmsr
    }

    /// Copies this code to 0x8000, and starts all other processors there.
    private mutating func addStartOfProcessors() {
        load(0xbe, 0x10_0000)  // mov esi, from
        load(0xbf, 0x8000)  // mov edi, to
        load(0xb9, 0x400)  // mov ecx, how many
        bytes += [0xfc, 0xf3, 0xa5]  // cld; rep movsd
        for command: UInt32 in [0xc_4500, 0xc_4608] {
            // mov dword [0xfee00300], INIT, then STARTUP with vector 8, to all but this one
            bytes += [0xc7, 0x05]
            add(UInt32(0xfee0_0300))
            add(command)
        }
    }
}
