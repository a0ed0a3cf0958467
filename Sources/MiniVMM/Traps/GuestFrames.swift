import CKVM
import KVM
import Memory

/// What the processor pushed when it raised an exception with an error code in 64-bit mode, from the stack pointer up.
/// Source: Intel SDM, volume 3, "Exception- or interrupt-handler procedures in 64-bit mode".
struct ExceptionFrame {
    let errorCode: UInt64
    let rip: UInt64
    let codeSelector: UInt16
    let rflags: UInt64
    let rsp: UInt64
    let stackSelector: UInt16
    /// Where the frame is, if it lies in one page.
    let place: GuestPhysicalAddress?

    /// The bytes of a frame.
    private static let size: UInt64 = 48

    /// Reads the frame at a linear address.
    ///
    /// - Returns: nil when part of it is not mapped.
    init?(at address: UInt64, walk: PageWalk, memory: GuestMemory) {
        let isInOnePage = address % GuestMemory.pageSize <= GuestMemory.pageSize - Self.size
        let place = isInOnePage ? walk.translate(address, in: memory) : nil
        guard !isInOnePage || place != nil else { return nil }
        func word(_ index: UInt64) -> UInt64? {
            let word = place.map { $0 &+ index &* 8 } ?? walk.translate(address &+ index &* 8, in: memory)
            return word.flatMap { try? memory.load(UInt64.self, at: $0) }
        }
        guard let errorCode = word(0), let rip = word(1), let code = word(2), let rflags = word(3), let rsp = word(4),
            let stack = word(5)
        else { return nil }
        self.errorCode = errorCode
        self.rip = rip
        codeSelector = UInt16(truncatingIfNeeded: code)
        self.rflags = rflags
        self.rsp = rsp
        stackSelector = UInt16(truncatingIfNeeded: stack)
        self.place = place
    }

    /// Changes what an IRETQ goes back to, in a frame that lies in one page.
    func write(rip: UInt64, rflags: UInt64, to memory: GuestMemory) {
        guard let place else { return }
        // There is memory: the frame was read out of it.
        try? memory.store(rip, at: place &+ 8)
        try? memory.store(rflags, at: place &+ 24)
    }

    /// Whether a program was interrupted: code at privilege level 3.
    var isFromUser: Bool { codeSelector & 3 == 3 }
}

/// Segment registers, loaded out of a guest's descriptor tables. Source: Intel SDM, volume 3, "Segment descriptors".
enum GuestDescriptor {
    private static let size: UInt64 = 8
    /// Selector bit 2: the local table in place of the global one.
    static let localTable: UInt16 = 1 << 2

    /// What a segment register holds after a selector was loaded into it.
    ///
    /// - Returns: nil when the selector is null, outside its table, not mapped, not present, or a system segment's.
    static func segment(
        for selector: UInt16, special: SpecialRegisters, walk: PageWalk, memory: GuestMemory
    ) -> SegmentRegister? {
        guard let entry = entry(for: selector, special: special, walk: walk, memory: memory) else { return nil }
        var segment = SegmentRegister()
        segment.selector = selector
        segment.base = entry >> 16 & 0xff_ffff | (entry >> 56 & 0xff) << 24
        let isGranular = entry >> 55 & 1 == 1
        let limit = UInt32(truncatingIfNeeded: entry & 0xffff | (entry >> 48 & 0xf) << 16)
        segment.limit = isGranular ? limit << 12 | 0xfff : limit
        // The processor sets "accessed" when it loads the register.
        segment.type = UInt8(truncatingIfNeeded: entry >> 40 & 0xf) | 1
        segment.s = UInt8(truncatingIfNeeded: entry >> 44 & 1)
        segment.dpl = UInt8(truncatingIfNeeded: entry >> 45 & 3)
        segment.present = UInt8(truncatingIfNeeded: entry >> 47 & 1)
        segment.avl = UInt8(truncatingIfNeeded: entry >> 52 & 1)
        segment.l = UInt8(truncatingIfNeeded: entry >> 53 & 1)
        segment.db = UInt8(truncatingIfNeeded: entry >> 54 & 1)
        segment.g = isGranular ? 1 : 0
        guard segment.present == 1, segment.s == 1 else { return nil }
        return segment
    }

    private static func entry(
        for selector: UInt16, special: SpecialRegisters, walk: PageWalk, memory: GuestMemory
    ) -> UInt64? {
        let index = UInt64(selector & ~7)
        let isLocal = selector & localTable != 0
        guard isLocal || index != 0 else { return nil }
        let base = isLocal ? special.ldt.base : special.gdt.base
        let limit = isLocal ? UInt64(special.ldt.limit) : UInt64(special.gdt.limit)
        guard index + size - 1 <= limit, let address = walk.translate(base &+ index, in: memory) else { return nil }
        return try? memory.load(UInt64.self, at: address)
    }
}

/// A gate of a 64-bit interrupt descriptor table. Source: Intel SDM, volume 3, "64-bit mode IDT".
struct InterruptGate: Hashable {
    /// The bytes of a gate.
    static let size: UInt64 = 16
    /// The vector of a general-protection exception.
    static let generalProtection: UInt64 = 13

    /// The gate's two words.
    let low: UInt64
    let high: UInt64

    /// Whether the gate is present, and an interrupt or trap gate.
    var isUsable: Bool {
        let present = low >> 47 & 1 == 1
        let type = low >> 40 & 0xf
        return present && (type == 0xe || type == 0xf)
    }

    /// The linear address of the handler.
    var handler: UInt64 {
        low & 0xffff | (low >> 48 & 0xffff) << 16 | (high & 0xffff_ffff) << 32
    }
}

/// The bytes of the instruction at a linear address, read one by one as they are asked for.
///
/// Reading allocates nothing. Bytes past the longest instruction, or not mapped, are nil.
struct InstructionWindow {
    private let start: UInt64
    private let walk: PageWalk
    private let memory: GuestMemory
    /// Where the first byte is: those in its page need no walk of their own.
    private let place: GuestPhysicalAddress?

    /// The longest instruction, in bytes. Source: Intel SDM, volume 2, "Instruction format".
    static let longestInstruction = 15

    init(at start: UInt64, walk: PageWalk, memory: GuestMemory) {
        self.start = start
        self.walk = walk
        self.memory = memory
        place = walk.translate(start, in: memory)
    }

    /// The byte with the given number.
    subscript(index: Int) -> UInt8? {
        guard index >= 0, index < Self.longestInstruction else { return nil }
        let offset = UInt64(index)
        let isInFirstPage = start % GuestMemory.pageSize + offset < GuestMemory.pageSize
        let address = isInFirstPage ? place.map { $0 &+ offset } : walk.translate(start &+ offset, in: memory)
        return address.flatMap { try? memory.load(UInt8.self, at: $0) }
    }

    /// How many bytes of prefixes there are that CPUID, OUT and HLT ignore.
    ///
    /// LOCK is not among them: with it, these are invalid opcodes. Source: Intel SDM, volume 2, "Instruction prefixes".
    func prefixCount(is64Bit: Bool) -> Int {
        var count = 0
        while let byte = self[count], Self.isLegacyPrefix(byte) { count &+= 1 }
        if is64Bit, let byte = self[count], Self.isREX(byte) { count &+= 1 }
        return count
    }

    private static let rexMask: UInt8 = 0xf0
    private static let rex: UInt8 = 0x40

    /// Whether a byte is REX in 64-bit code.
    static func isREX(_ byte: UInt8) -> Bool { byte & rexMask == rex }

    /// Whether a byte is a prefix in all code.
    static func isLegacyPrefix(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65: true  // segment overrides
        case 0x66, 0x67: true  // operand and address size
        case 0xf2, 0xf3: true  // REPNE, REP
        default: false
        }
    }
}
