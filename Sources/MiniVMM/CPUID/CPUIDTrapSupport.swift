/// Which trap mechanisms work on this host for a guest in ring 0, found out by trying them.
public struct CPUIDTrapSupport: Hashable, Sendable {
    /// Debug registers stop the guest (KVM_GUESTDBG_USE_HW_BP).
    public let debug: Bool
    /// An OUT exits, and the registers set at the exit are the guest's afterwards.
    public let patch: Bool
    /// Single-stepping stops after each instruction (KVM_GUESTDBG_SINGLESTEP).
    public let step: Bool

    /// The given findings.
    public init(debug: Bool, patch: Bool, step: Bool) {
        self.debug = debug
        self.patch = patch
        self.step = step
    }

    /// Whether a mechanism works.
    public func includes(_ trap: CPUIDTrap) -> Bool {
        switch trap {
        case .debug: debug
        case .patch: patch
        case .step: step
        case .fault: false
        case .auto, .none: true
        }
    }

    /// What `auto` stands for with the given number of sites.
    ///
    /// Debug registers come first because they leave the guest's memory alone, so that a site that is data after all
    /// costs nothing.
    public func choice(siteCount: Int) -> CPUIDTrap {
        if siteCount == 0 { return .none }
        if debug && siteCount <= DebugRegisters.breakpointCount { return .debug }
        if patch { return .patch }
        return step ? .step : .none
    }
}
