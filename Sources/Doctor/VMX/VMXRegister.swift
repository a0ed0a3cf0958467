/// The VMX capability MSRs. The raw value is the MSR's number.
///
/// Source: Intel SDM, volume 3, appendix A, "VMX capability reporting facility".
package enum VMXRegister: UInt32, CaseIterable, Sendable {
    case basic = 0x480
    case pinBased
    case processorBased
    case exit
    case entry
    case miscellaneous
    case cr0Fixed0
    case cr0Fixed1
    case cr4Fixed0
    case cr4Fixed1
    case fieldEnumeration
    case processorBased2
    case pagingCapabilities
    case truePinBased
    case trueProcessorBased
    case trueExit
    case trueEntry
    case functions
    case processorBased3
    case exit2

    /// The SDM's name.
    package var name: String {
        switch self {
        case .basic: "IA32_VMX_BASIC"
        case .pinBased: "IA32_VMX_PINBASED_CTLS"
        case .processorBased: "IA32_VMX_PROCBASED_CTLS"
        case .exit: "IA32_VMX_EXIT_CTLS"
        case .entry: "IA32_VMX_ENTRY_CTLS"
        case .miscellaneous: "IA32_VMX_MISC"
        case .cr0Fixed0: "IA32_VMX_CR0_FIXED0"
        case .cr0Fixed1: "IA32_VMX_CR0_FIXED1"
        case .cr4Fixed0: "IA32_VMX_CR4_FIXED0"
        case .cr4Fixed1: "IA32_VMX_CR4_FIXED1"
        case .fieldEnumeration: "IA32_VMX_VMCS_ENUM"
        case .processorBased2: "IA32_VMX_PROCBASED_CTLS2"
        case .pagingCapabilities: "IA32_VMX_EPT_VPID_CAP"
        case .truePinBased: "IA32_VMX_TRUE_PINBASED_CTLS"
        case .trueProcessorBased: "IA32_VMX_TRUE_PROCBASED_CTLS"
        case .trueExit: "IA32_VMX_TRUE_EXIT_CTLS"
        case .trueEntry: "IA32_VMX_TRUE_ENTRY_CTLS"
        case .functions: "IA32_VMX_VMFUNC"
        case .processorBased3: "IA32_VMX_PROCBASED_CTLS3"
        case .exit2: "IA32_VMX_EXIT_CTLS2"
        }
    }
}

/// The VMX capability MSRs of a processor, or those that KVM offers to a guest that is a hypervisor itself.
package struct VMXCapabilities: Hashable, Sendable {
    /// The values of those that there are.
    package var values: [VMXRegister: UInt64]

    package init(_ values: [VMXRegister: UInt64]) {
        self.values = values
    }

    /// Reads all.
    ///
    /// - Parameter read: Reads an MSR; nil when there is none of that number.
    package init<Failure>(reading read: (UInt32) throws(Failure) -> UInt64?) throws(Failure) {
        values = [:]
        for register in VMXRegister.allCases { values[register] = try read(register.rawValue) }
    }
}

/// What may be done with a bit of a control.
package struct VMXSetting: Hashable, Sendable {
    /// Whether it may be 1 (the allowed 1-setting).
    package let canSet: Bool
    /// Whether it may be 0 (the allowed 0-setting).
    package let canClear: Bool

    package init(canSet: Bool, canClear: Bool) {
        self.canSet = canSet
        self.canClear = canClear
    }
}

/// Where the settings of a group of controls are reported.
package enum VMXSettings: Sendable {
    /// In one MSR: bits 31:0 are those that must be 1, bits 63:32 those that may be 1. Source: appendix A.3.1.
    case halves(VMXRegister)
    /// In one MSR of 64 bits that may be 1; all may be 0. Source: appendix A.3.4.
    case mayBeOne(VMXRegister)
    /// In two MSRs: the first has the bits that must be 1, the second those that may be 1. Source: appendix A.7.
    case fixed(VMXRegister, VMXRegister)

    /// The MSRs.
    package var registers: [VMXRegister] {
        switch self {
        case .halves(let register), .mayBeOne(let register): [register]
        case .fixed(let first, let second): [first, second]
        }
    }

    /// The bits that must be 1, and those that may be.
    ///
    /// - Returns: nil when there are no such MSRs.
    func masks(in capabilities: VMXCapabilities) -> (mustBeOne: UInt64, mayBeOne: UInt64)? {
        let values = registers.compactMap { capabilities.values[$0] }
        guard values.count == registers.count else { return nil }
        return switch self {
        case .halves: (values[0] & 0xffff_ffff, values[0] >> 32)
        case .mayBeOne: (0, values[0])
        case .fixed: (values[0], values[1])
        }
    }

    /// How many bits there are.
    var width: Int {
        switch self {
        case .halves: 32
        case .mayBeOne, .fixed: 64
        }
    }
}
