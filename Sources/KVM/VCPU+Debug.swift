import CKVM
import Host

extension VCPU {
    /// What KVM_SET_GUEST_DEBUG can be asked for, out of what MiniVMM uses for its traps.
    public enum GuestDebug: Hashable, Sendable {
        /// Nothing: the guest's debug registers and trap flag are its own.
        case off
        /// An exit after every instruction.
        case singleStep
        /// An exit before the instruction at each of up to four linear addresses.
        case breakpoints([UInt64])
    }

    /// What a debugger asks KVM_SET_GUEST_DEBUG for, besides what a trap does.
    package struct DebugPlan: Hashable, Sendable {
        /// Whether there is an exit after every instruction.
        package var isStepping = false
        /// Whether INT3 exits, and does not reach the guest.
        package var takesSoftwareBreakpoints = false
        /// What the debug registers watch: as many as there are, further ones are left out.
        package var points: [DebugPoint] = []

        /// Nothing.
        package init() {}
    }

    /// Sets breakpoints or single-stepping (KVM_SET_GUEST_DEBUG).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func setGuestDebug(_ debug: GuestDebug) throws(KVMError) {
        try setGuestDebug(debug, DebugPlan())
    }

    /// Sets what a trap and a debugger want together.
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func setGuestDebug(_ debug: GuestDebug, _ plan: DebugPlan) throws(KVMError) {
        var argument = Self.kernelArgument(debug, plan)
        try unsafe check("KVM_SET_GUEST_DEBUG", ckvm_set_guest_debug(descriptor.number, &argument))
    }

    /// Raises #DB in the guest, leaving breakpoints or single-stepping as they are.
    ///
    /// - Throws: ``KVMError`` when the ioctl fails with anything but EBUSY, which says that an exception is pending.
    public func injectDebugException(keeping debug: GuestDebug) throws(KVMError) {
        try inject(ckvm_guestdbg_inject_db, keeping: debug, DebugPlan())
    }

    /// Raises #DB, or #BP, in the guest, leaving what a trap and a debugger want as it is.
    ///
    /// - Throws: ``KVMError`` when the ioctl fails with anything but EBUSY, which says that an exception is pending.
    package func injectDebugException(
        isBreakpoint: Bool = false, keeping debug: GuestDebug, _ plan: DebugPlan
    ) throws(KVMError) {
        try inject(isBreakpoint ? ckvm_guestdbg_inject_bp : ckvm_guestdbg_inject_db, keeping: debug, plan)
    }

    private func inject(_ flag: UInt32, keeping debug: GuestDebug, _ plan: DebugPlan) throws(KVMError) {
        var argument = Self.kernelArgument(debug, plan)
        argument.control |= ckvm_guestdbg_enable | flag
        let result = unsafe ckvm_set_guest_debug(descriptor.number, &argument)
        if result != -EBUSY { try check("KVM_SET_GUEST_DEBUG", result) }
    }

    private static func kernelArgument(_ debug: GuestDebug, _ plan: DebugPlan) -> kvm_guest_debug {
        var argument = kvm_guest_debug()
        var points = plan.points
        switch debug {
        case .off: break
        case .singleStep: argument.control |= ckvm_guestdbg_singlestep
        case .breakpoints(let addresses): points += addresses.map { DebugPoint(.execute, at: $0) }
        }
        if plan.isStepping { argument.control |= ckvm_guestdbg_singlestep }
        if plan.takesSoftwareBreakpoints { argument.control |= ckvm_guestdbg_use_sw_bp }
        if !points.isEmpty {
            argument.control |= ckvm_guestdbg_use_hw_bp
            argument.arch.debugreg = DebugRegisters.values(for: points)
        }
        if argument.control != 0 { argument.control |= ckvm_guestdbg_enable }
        return argument
    }

    /// Whether the debug exit in the run page is INT3's and not the debug registers' or a step's.
    package var isBreakpointException: Bool {
        // Sound: the page holds a kvm_run, and any bits are valid.
        unsafe ckvm_exit_debug(runPage).exception == 3
    }
}

/// What one debug register watches.
package struct DebugPoint: Hashable, Sendable {
    /// The accesses that stop the guest.
    package enum Access: Hashable, Sendable {
        /// The execution of the instruction at the address, before it.
        case execute
        /// A write, after it.
        case write
        /// A write or a read, after it. There is no register for reads alone.
        case readWrite
    }

    /// The accesses that stop the guest.
    package let access: Access
    /// The linear address.
    package let address: UInt64
    /// The bytes from there on: 1, 2, 4 or 8, of which the address is a multiple.
    package let length: UInt64

    /// A point.
    package init(_ access: Access, at address: UInt64, length: UInt64 = 1) {
        self.access = access
        self.address = address
        self.length = length
    }
}

/// The debug registers DR0 to DR7, in the form that KVM_SET_GUEST_DEBUG takes.
///
/// Source: Intel SDM, volume 3, "Debug registers".
package enum DebugRegisters {
    typealias Values = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    /// How many breakpoints the processor has: DR0 to DR3.
    package static let breakpointCount = 4
    /// DR6 bits 3:0: which of them was hit.
    package static let hits: UInt64 = 0xf
    /// DR6.BS: a single step.
    package static let singleStep: UInt64 = 1 << 14

    /// DR7 bits 10: reserved, always one.
    private static let dr7Reserved: UInt64 = 1 << 10

    /// What the registers hold for up to four points; further ones are left out.
    static func values(for points: some Sequence<DebugPoint>) -> Values {
        var slots: [UInt64] = []
        var dr7 = dr7Reserved
        for (index, point) in points.prefix(breakpointCount).enumerated() {
            slots.append(point.address)
            // DR7 bits 1, 3, 5, 7: global enable. Four bits from 16 on for each: R/W, and LEN above it.
            dr7 |= 1 << (2 * UInt64(index) + 1)
            dr7 |= (readWrite(point.access) | length(point) << 2) << (16 + 4 * UInt64(index))
        }
        slots += repeatElement(0, count: breakpointCount - slots.count)
        return (slots[0], slots[1], slots[2], slots[3], 0, 0, 0, dr7)
    }

    private static func readWrite(_ access: DebugPoint.Access) -> UInt64 {
        switch access {
        case .execute: 0b00
        case .write: 0b01
        case .readWrite: 0b11
        }
    }

    /// LEN: one byte for what executes, whatever its length.
    private static func length(_ point: DebugPoint) -> UInt64 {
        guard point.access != .execute else { return 0b00 }
        return switch point.length {
        case 2: 0b01
        case 4: 0b11
        case 8: 0b10
        default: 0b00
        }
    }
}
