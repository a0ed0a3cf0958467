/// The names of model-specific registers.
///
/// Source: Intel SDM, volume 4, tables of architectural MSRs; AMD APM, volume 2, appendix A; for the synthetic ones, Linux
/// arch/x86/include/uapi/asm/kvm_para.h and the Hyper-V Top Level Functional Specification.
package enum MSRNames {
    /// The name of an MSR, or nil where it is not known here.
    package static func name(of number: UInt32) -> String? {
        if let name = names[number] { return name }
        for (range, prefix) in series where range.contains(number) { return "\(prefix)\(number - range.lowerBound)" }
        if (0x200...0x213).contains(number) {
            return "IA32_MTRR_PHYS\(number % 2 == 0 ? "BASE" : "MASK")\((number - 0x200) / 2)"
        }
        if let name = x2APICName(number) { return name }
        return machineCheckName(number)
    }

    /// MSRs that are numbered, by the first one's number.
    private static let series: [(ClosedRange<UInt32>, String)] = [
        (0xc1...0xc8, "IA32_PMC"), (0x186...0x189, "IA32_PERFEVTSEL"),
        (0x309...0x30c, "IA32_FIXED_CTR"), (0xc001_0000...0xc001_0003, "PERF_CTL"),
        (0xc001_0004...0xc001_0007, "PERF_CTR"), (0x4000_0090...0x4000_009f, "HV_X64_MSR_SINT"),
        (0x280...0x29f, "IA32_MC_CTL2_"), (0x680...0x68f, "MSR_LASTBRANCH_FROM_"),
        (0x6c0...0x6cf, "MSR_LASTBRANCH_TO_"),
    ]

    /// The registers of a local APIC in x2APIC mode: 0x800 and the offset of the MMIO register divided by 16. Source: SDM,
    /// volume 3, "Local APIC Register Address Space in x2APIC Mode".
    private static func x2APICName(_ number: UInt32) -> String? {
        guard (0x800...0x83f).contains(number) else { return nil }
        let names: [UInt32: String] = [
            0x02: "APICID", 0x03: "VERSION", 0x08: "TPR", 0x0a: "PPR", 0x0b: "EOI", 0x0d: "LDR", 0x0f: "SIVR",
            0x28: "ESR", 0x2f: "LVT_CMCI", 0x30: "ICR", 0x32: "LVT_TIMER", 0x33: "LVT_THERMAL", 0x34: "LVT_PMI",
            0x35: "LVT_LINT0", 0x36: "LVT_LINT1", 0x37: "LVT_ERROR", 0x38: "INIT_COUNT", 0x39: "CUR_COUNT",
            0x3e: "DIV_CONF", 0x3f: "SELF_IPI",
        ]
        let index = number - 0x800
        if let name = names[index] { return "IA32_X2APIC_\(name)" }
        return switch index {
        case 0x10...0x17: "IA32_X2APIC_ISR\(index - 0x10)"
        case 0x18...0x1f: "IA32_X2APIC_TMR\(index - 0x18)"
        case 0x20...0x27: "IA32_X2APIC_IRR\(index - 0x20)"
        default: nil
        }
    }

    /// The banks of the machine-check architecture, four MSRs each.
    private static func machineCheckName(_ number: UInt32) -> String? {
        guard (0x400...0x47f).contains(number) else { return nil }
        let (bank, register) = ((number - 0x400) / 4, Int((number - 0x400) % 4))
        return "IA32_MC\(bank)_\(["CTL", "STATUS", "ADDR", "MISC"][register])"
    }

    private static let names: [UInt32: String] = [
        0x00: "IA32_P5_MC_ADDR", 0x01: "IA32_P5_MC_TYPE", 0x06: "IA32_MONITOR_FILTER_SIZE",
        0x10: "IA32_TIME_STAMP_COUNTER", 0x17: "IA32_PLATFORM_ID", 0x1b: "IA32_APIC_BASE", 0x33: "MSR_TEST_CTRL",
        0x34: "MSR_SMI_COUNT", 0x3a: "IA32_FEATURE_CONTROL", 0x3b: "IA32_TSC_ADJUST", 0x48: "IA32_SPEC_CTRL",
        0x49: "IA32_PRED_CMD", 0x79: "IA32_BIOS_UPDT_TRIG", 0x8b: "IA32_BIOS_SIGN_ID", 0x9b: "IA32_SMM_MONITOR_CTL",
        0x9e: "IA32_SMBASE", 0xce: "MSR_PLATFORM_INFO", 0xcf: "IA32_CORE_CAPABILITIES", 0xe1: "IA32_UMWAIT_CONTROL",
        0xe7: "IA32_MPERF", 0xe8: "IA32_APERF", 0xfe: "IA32_MTRRCAP", 0x10a: "IA32_ARCH_CAPABILITIES",
        0x10b: "IA32_FLUSH_CMD", 0x122: "IA32_TSX_CTRL", 0x123: "IA32_MCU_OPT_CTRL",
        0x140: "MSR_MISC_FEATURES_ENABLES", 0x174: "IA32_SYSENTER_CS", 0x175: "IA32_SYSENTER_ESP",
        0x176: "IA32_SYSENTER_EIP", 0x179: "IA32_MCG_CAP", 0x17a: "IA32_MCG_STATUS", 0x17b: "IA32_MCG_CTL",
        0x198: "IA32_PERF_STATUS", 0x199: "IA32_PERF_CTL", 0x19a: "IA32_CLOCK_MODULATION",
        0x19b: "IA32_THERM_INTERRUPT", 0x19c: "IA32_THERM_STATUS", 0x1a0: "IA32_MISC_ENABLE",
        0x1a2: "MSR_TEMPERATURE_TARGET", 0x1b0: "IA32_ENERGY_PERF_BIAS", 0x1b1: "IA32_PACKAGE_THERM_STATUS",
        0x1b2: "IA32_PACKAGE_THERM_INTERRUPT", 0x1c4: "IA32_XFD", 0x1c5: "IA32_XFD_ERR", 0x1d9: "IA32_DEBUGCTL",
        0x1f2: "IA32_SMRR_PHYSBASE", 0x1f3: "IA32_SMRR_PHYSMASK", 0x1f8: "IA32_PLATFORM_DCA_CAP",
        0x250: "IA32_MTRR_FIX64K_00000", 0x258: "IA32_MTRR_FIX16K_80000", 0x259: "IA32_MTRR_FIX16K_A0000",
        0x268: "IA32_MTRR_FIX4K_C0000", 0x269: "IA32_MTRR_FIX4K_C8000", 0x26a: "IA32_MTRR_FIX4K_D0000",
        0x26b: "IA32_MTRR_FIX4K_D8000", 0x26c: "IA32_MTRR_FIX4K_E0000", 0x26d: "IA32_MTRR_FIX4K_E8000",
        0x26e: "IA32_MTRR_FIX4K_F0000", 0x26f: "IA32_MTRR_FIX4K_F8000", 0x277: "IA32_PAT",
        0x2ff: "IA32_MTRR_DEF_TYPE", 0x345: "IA32_PERF_CAPABILITIES", 0x38d: "IA32_FIXED_CTR_CTRL",
        0x38e: "IA32_PERF_GLOBAL_STATUS", 0x38f: "IA32_PERF_GLOBAL_CTRL", 0x390: "IA32_PERF_GLOBAL_OVF_CTRL",
        0x391: "IA32_PERF_GLOBAL_STATUS_SET", 0x3f1: "IA32_PEBS_ENABLE", 0x480: "IA32_VMX_BASIC",
        0x481: "IA32_VMX_PINBASED_CTLS", 0x482: "IA32_VMX_PROCBASED_CTLS", 0x483: "IA32_VMX_EXIT_CTLS",
        0x484: "IA32_VMX_ENTRY_CTLS", 0x485: "IA32_VMX_MISC", 0x486: "IA32_VMX_CR0_FIXED0",
        0x487: "IA32_VMX_CR0_FIXED1", 0x488: "IA32_VMX_CR4_FIXED0", 0x489: "IA32_VMX_CR4_FIXED1",
        0x48a: "IA32_VMX_VMCS_ENUM", 0x48b: "IA32_VMX_PROCBASED_CTLS2", 0x48c: "IA32_VMX_EPT_VPID_CAP",
        0x48d: "IA32_VMX_TRUE_PINBASED_CTLS", 0x48e: "IA32_VMX_TRUE_PROCBASED_CTLS",
        0x48f: "IA32_VMX_TRUE_EXIT_CTLS", 0x490: "IA32_VMX_TRUE_ENTRY_CTLS", 0x491: "IA32_VMX_VMFUNC",
        0x570: "IA32_RTIT_CTL", 0x571: "IA32_RTIT_STATUS", 0x600: "IA32_DS_AREA", 0x606: "MSR_RAPL_POWER_UNIT",
        0x611: "MSR_PKG_ENERGY_STATUS", 0x6a0: "IA32_U_CET", 0x6a2: "IA32_S_CET", 0x6a4: "IA32_PL0_SSP",
        0x6e0: "IA32_TSC_DEADLINE", 0x6e1: "IA32_PKRS", 0x770: "IA32_PM_ENABLE", 0x771: "IA32_HWP_CAPABILITIES",
        0x774: "IA32_HWP_REQUEST", 0xc80: "IA32_DEBUG_INTERFACE", 0xda0: "IA32_XSS",
        0xc000_0080: "IA32_EFER", 0xc000_0081: "IA32_STAR", 0xc000_0082: "IA32_LSTAR", 0xc000_0083: "IA32_CSTAR",
        0xc000_0084: "IA32_FMASK", 0xc000_0100: "IA32_FS_BASE", 0xc000_0101: "IA32_GS_BASE",
        0xc000_0102: "IA32_KERNEL_GS_BASE", 0xc000_0103: "IA32_TSC_AUX", 0xc000_0104: "TSC_RATIO",
        0xc001_0010: "SYSCFG", 0xc001_0015: "HWCR", 0xc001_0016: "IORRBase0", 0xc001_001a: "TOP_MEM",
        0xc001_001d: "TOP_MEM2", 0xc001_001f: "NB_CFG", 0xc001_0055: "Interrupt Pending and CMP-Halt",
        0xc001_0058: "MMIO Configuration Base Address", 0xc001_0061: "PStateCurLim", 0xc001_0062: "PStateCtl",
        0xc001_0063: "PStateStat", 0xc001_0064: "PStateDef0", 0xc001_0111: "SMBASE", 0xc001_0112: "SMM_ADDR",
        0xc001_0114: "VM_CR", 0xc001_0115: "IGNNE", 0xc001_0117: "VM_HSAVE_PA", 0xc001_0140: "OSVW_ID_LENGTH",
        0xc001_0141: "OSVW_STATUS", 0xc001_011f: "VIRT_SPEC_CTRL", 0xc001_0131: "SEV_STATUS",
        0xc001_1020: "LS_CFG", 0xc001_1022: "DC_CFG", 0xc001_1029: "DE_CFG", 0xc001_102a: "BU_CFG2",
        0x11: "KVM_WALL_CLOCK", 0x12: "KVM_SYSTEM_TIME", 0x4b56_4d00: "KVM_WALL_CLOCK_NEW",
        0x4b56_4d01: "KVM_SYSTEM_TIME_NEW", 0x4b56_4d02: "KVM_ASYNC_PF_EN", 0x4b56_4d03: "KVM_STEAL_TIME",
        0x4b56_4d04: "KVM_PV_EOI_EN", 0x4b56_4d05: "KVM_POLL_CONTROL", 0x4b56_4d06: "KVM_ASYNC_PF_INT",
        0x4b56_4d07: "KVM_ASYNC_PF_ACK", 0x4b56_4d08: "KVM_MIGRATION_CONTROL",
        0x4000_0000: "HV_X64_MSR_GUEST_OS_ID", 0x4000_0001: "HV_X64_MSR_HYPERCALL",
        0x4000_0002: "HV_X64_MSR_VP_INDEX", 0x4000_0003: "HV_X64_MSR_RESET",
        0x4000_0020: "HV_X64_MSR_TIME_REF_COUNT", 0x4000_0021: "HV_X64_MSR_REFERENCE_TSC",
        0x4000_0070: "HV_X64_MSR_EOI", 0x4000_0071: "HV_X64_MSR_ICR", 0x4000_0073: "HV_X64_MSR_VP_ASSIST_PAGE",
    ]
}
