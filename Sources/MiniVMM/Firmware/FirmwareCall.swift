import KVM
import Memory

/// A call of a BIOS's service in real mode: the registers that it comes with, and what it leaves in them.
struct FirmwareCall {
    /// The registers at the stub, of which a service changes those that it returns something in.
    var registers: GeneralRegisters
    /// The segments at the stub.
    let special: SpecialRegisters
    /// The guest's memory.
    let memory: GuestMemory
    /// What the carry flag is to be when the guest goes on; nil for what it was.
    var carry: Bool?
    /// The same of the zero flag.
    var zero: Bool?

    init(_ registers: GeneralRegisters, _ special: SpecialRegisters, _ memory: GuestMemory) {
        self.registers = registers
        self.special = special
        self.memory = memory
    }

    /// Writes the flags into the image that the interrupt has pushed, from which IRET takes them: FLAGS are above IP and
    /// CS. Source: Intel SDM, volume 2, "INT n".
    func storeFlags() {
        guard carry != nil || zero != nil else { return }
        let pointer = UInt16(truncatingIfNeeded: registers.rsp) &+ 4
        let address = GuestPhysicalAddress(special.ss.base &+ UInt64(pointer))
        // A stack without memory was none before, either.
        guard var flags = try? memory.load(UInt16.self, at: address) else { return }
        if let carry { flags = carry ? flags | Self.carryFlag : flags & ~Self.carryFlag }
        if let zero { flags = zero ? flags | Self.zeroFlag : flags & ~Self.zeroFlag }
        try? memory.store(flags, at: address)
    }

    private static let carryFlag: UInt16 = 1 << 0
    private static let zeroFlag: UInt16 = 1 << 6

    /// The physical address of an offset in a segment.
    func address(_ segment: SegmentRegister, _ offset: UInt16) -> GuestPhysicalAddress {
        GuestPhysicalAddress(segment.base &+ UInt64(offset))
    }
}

// MARK: Registers by their parts

extension FirmwareCall {
    var ax: UInt16 {
        get { UInt16(truncatingIfNeeded: registers.rax) }
        set { registers.rax = registers.rax & ~0xffff | UInt64(newValue) }
    }
    var bx: UInt16 {
        get { UInt16(truncatingIfNeeded: registers.rbx) }
        set { registers.rbx = registers.rbx & ~0xffff | UInt64(newValue) }
    }
    var cx: UInt16 {
        get { UInt16(truncatingIfNeeded: registers.rcx) }
        set { registers.rcx = registers.rcx & ~0xffff | UInt64(newValue) }
    }
    var dx: UInt16 {
        get { UInt16(truncatingIfNeeded: registers.rdx) }
        set { registers.rdx = registers.rdx & ~0xffff | UInt64(newValue) }
    }
    var al: UInt8 {
        get { UInt8(truncatingIfNeeded: ax) }
        set { ax = ax & 0xff00 | UInt16(newValue) }
    }
    var ah: UInt8 {
        get { UInt8(truncatingIfNeeded: ax >> 8) }
        set { ax = ax & 0x00ff | UInt16(newValue) << 8 }
    }
    var bh: UInt8 {
        get { UInt8(truncatingIfNeeded: bx >> 8) }
        set { bx = bx & 0x00ff | UInt16(newValue) << 8 }
    }
    var cl: UInt8 { UInt8(truncatingIfNeeded: cx) }
    var ch: UInt8 { UInt8(truncatingIfNeeded: cx >> 8) }
    var dl: UInt8 { UInt8(truncatingIfNeeded: dx) }
    var dh: UInt8 { UInt8(truncatingIfNeeded: dx >> 8) }
    var si: UInt16 { UInt16(truncatingIfNeeded: registers.rsi) }
    var di: UInt16 { UInt16(truncatingIfNeeded: registers.rdi) }
    var bp: UInt16 { UInt16(truncatingIfNeeded: registers.rbp) }
}
