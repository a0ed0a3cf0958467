/// The bytes of the instruction at a linear address, read one by one as they are asked for.
///
/// Reading allocates nothing. Bytes past the longest instruction, or not mapped, are nil.
struct InstructionWindow {
    private let start: UInt64
    private let walk: PageWalk
    private let memory: GuestMemory

    /// The longest instruction, in bytes. Source: Intel SDM, volume 2, "Instruction format".
    static let longestInstruction = 15

    init(at start: UInt64, walk: PageWalk, memory: GuestMemory) {
        self.start = start
        self.walk = walk
        self.memory = memory
    }

    /// The byte with the given number.
    subscript(index: Int) -> UInt8? {
        guard index >= 0, index < Self.longestInstruction,
            let address = walk.translate(start &+ UInt64(index), in: memory)
        else { return nil }
        return try? memory.load(UInt8.self, at: address)
    }

    /// How many bytes of prefixes there are that CPUID, OUT and HLT ignore.
    ///
    /// LOCK is not among them: with it, these are invalid opcodes. Source: Intel SDM, volume 2, "Instruction prefixes".
    func prefixCount(is64Bit: Bool) -> Int {
        var count = 0
        while let byte = self[count], Self.isLegacyPrefix(byte) { count &+= 1 }
        if is64Bit, let byte = self[count], byte & Self.rexMask == Self.rex { count &+= 1 }
        return count
    }

    private static let rexMask: UInt8 = 0xf0
    private static let rex: UInt8 = 0x40

    private static func isLegacyPrefix(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65: true  // segment overrides
        case 0x66, 0x67: true  // operand and address size
        case 0xf2, 0xf3: true  // REPNE, REP
        default: false
        }
    }
}
