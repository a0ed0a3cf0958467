/// The debug registers DR0 to DR7, in the form that KVM_SET_GUEST_DEBUG takes.
///
/// Source: Intel SDM, volume 3, "Debug registers".
enum DebugRegisters {
    typealias Values = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    /// How many breakpoints the processor has: DR0 to DR3.
    static let breakpointCount = 4

    /// DR7 bits 10: reserved, always one.
    private static let dr7Reserved: UInt64 = 1 << 10

    /// Breakpoints on the execution of the instructions at up to four linear addresses; further ones are left out.
    static func executionBreakpoints(at addresses: some Sequence<UInt64>) -> Values {
        var slots: [UInt64] = []
        var dr7 = dr7Reserved
        for (index, address) in addresses.prefix(breakpointCount).enumerated() {
            slots.append(address)
            // DR7 bits 1, 3, 5, 7: global enable. R/W and LEN of an execution breakpoint are both 0.
            dr7 |= 1 << (2 * UInt64(index) + 1)
        }
        slots += repeatElement(0, count: breakpointCount - slots.count)
        return (slots[0], slots[1], slots[2], slots[3], 0, 0, 0, dr7)
    }
}
