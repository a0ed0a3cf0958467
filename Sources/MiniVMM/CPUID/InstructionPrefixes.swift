/// The prefixes that may stand before an instruction. Source: Intel SDM, volume 2, "Instruction prefixes".
enum InstructionPrefixes {
    /// The longest instruction, in bytes.
    static let longestInstruction = 15

    /// How many bytes of prefixes CPUID, or another instruction that ignores them, may have at the start of `code`.
    ///
    /// LOCK is not among them: with it, CPUID is an invalid opcode.
    static func count(in code: [UInt8], is64Bit: Bool) -> Int {
        var count = 0
        while count < code.count, isLegacy(code[count]) { count += 1 }
        if is64Bit, count < code.count, code[count] & 0xf0 == 0x40 { count += 1 }
        return count
    }

    private static func isLegacy(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65: true  // segment overrides
        case 0x66, 0x67: true  // operand and address size
        case 0xf2, 0xf3: true  // REPNE, REP
        default: false
        }
    }
}
