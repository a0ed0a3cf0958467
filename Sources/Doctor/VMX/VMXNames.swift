/// What the VMX capability MSRs report, bit by bit, in the SDM's words.
///
/// Sources: Intel SDM, volume 3, chapter "Virtual-machine control structures", the tables of definitions of VM-execution,
/// VM-exit and VM-entry controls; appendix A for the rest; "CR0" and "CR4" in chapter "System architecture overview".
/// Compared with Linux, arch/x86/include/asm/vmx.h and vmxfeatures.h.
package struct VMXSection: Sendable {
    /// What a section lists.
    package enum Content: Sendable {
        /// Controls, by bit: each may be set, or cleared, or not.
        case controls(VMXSettings, [(bit: Int, name: String)])
        /// Facts in the fields of one register.
        case facts(VMXRegister, [VMXFact])
    }

    /// Its heading.
    package let title: String
    package let content: Content

    /// All sections, in the order of the registers' numbers.
    package static let all: [VMXSection] =
        [basic] + controls(pinBased, .pinBased, .truePinBased)
        + controls(processorBased, .processorBased, .trueProcessorBased) + [secondary, tertiary]
        + controls(exit, .exit, .trueExit) + [secondaryExit] + controls(entry, .entry, .trueEntry)
        + [miscellaneous, cr0, cr4, fieldEnumeration, pagingCapabilities, functions]

    /// A group of controls that two MSRs report: the older one says of some that they must be 1 because software that
    /// does not know them would set them; the newer one, where there is one, says what the processor takes.
    private static func controls(
        _ group: (title: String, names: [(bit: Int, name: String)]), _ older: VMXRegister, _ newer: VMXRegister
    ) -> [VMXSection] {
        [older, newer].map { VMXSection(title: group.title, content: .controls(.halves($0), group.names)) }
    }
}

/// A fact in a register.
package struct VMXFact: Sendable {
    /// How it reads.
    package enum Form: Sendable {
        /// Yes or no.
        case flag
        /// A number.
        case number
        /// A number, in hexadecimal.
        case hexadecimal
        /// A type of memory, as in the MTRRs.
        case memoryType
        /// 512 times one more than the number.
        case listLength
    }

    package let bits: ClosedRange<Int>
    package let name: String
    package let form: Form

    init(_ bits: ClosedRange<Int>, _ name: String, _ form: Form) {
        self.bits = bits
        self.name = name
        self.form = form
    }

    init(_ bit: Int, _ name: String) {
        self.init(bit...bit, name, .flag)
    }
}

// MARK: Controls

extension VMXSection {
    private static let pinBased = (
        title: "pin-based VM-execution controls",
        names: [
            (0, "External-interrupt exiting"), (3, "NMI exiting"), (5, "Virtual NMIs"),
            (6, "Activate VMX-preemption timer"), (7, "Process posted interrupts"),
        ] as [(bit: Int, name: String)]
    )

    private static let processorBased = (
        title: "primary processor-based VM-execution controls",
        names: [
            (2, "Interrupt-window exiting"), (3, "Use TSC offsetting"), (7, "HLT exiting"), (9, "INVLPG exiting"),
            (10, "MWAIT exiting"), (11, "RDPMC exiting"), (12, "RDTSC exiting"), (15, "CR3-load exiting"),
            (16, "CR3-store exiting"), (17, "Activate tertiary controls"), (19, "CR8-load exiting"),
            (20, "CR8-store exiting"), (21, "Use TPR shadow"), (22, "NMI-window exiting"), (23, "MOV-DR exiting"),
            (24, "Unconditional I/O exiting"), (25, "Use I/O bitmaps"), (27, "Monitor trap flag"),
            (28, "Use MSR bitmaps"), (29, "MONITOR exiting"), (30, "PAUSE exiting"),
            (31, "Activate secondary controls"),
        ] as [(bit: Int, name: String)]
    )

    private static let secondary = VMXSection(
        title: "secondary processor-based VM-execution controls",
        content: .controls(
            .halves(.processorBased2),
            [
                (0, "Virtualize APIC accesses"), (1, "Enable EPT"), (2, "Descriptor-table exiting"),
                (3, "Enable RDTSCP"), (4, "Virtualize x2APIC mode"), (5, "Enable VPID"), (6, "WBINVD exiting"),
                (7, "Unrestricted guest"), (8, "APIC-register virtualization"), (9, "Virtual-interrupt delivery"),
                (10, "PAUSE-loop exiting"), (11, "RDRAND exiting"), (12, "Enable INVPCID"),
                (13, "Enable VM functions"), (14, "VMCS shadowing"), (15, "Enable ENCLS exiting"),
                (16, "RDSEED exiting"), (17, "Enable PML"), (18, "EPT-violation #VE"), (19, "Conceal VMX from PT"),
                (20, "Enable XSAVES/XRSTORS"), (21, "PASID translation"), (22, "Mode-based execute control for EPT"),
                (23, "Sub-page write permissions for EPT"), (24, "Intel PT uses guest physical addresses"),
                (25, "Use TSC scaling"), (26, "Enable user wait and pause"), (27, "Enable PCONFIG"),
                (28, "Enable ENCLV exiting"), (30, "VMM bus-lock detection"), (31, "Instruction timeout"),
            ]))

    private static let tertiary = VMXSection(
        title: "tertiary processor-based VM-execution controls",
        content: .controls(
            .mayBeOne(.processorBased3),
            [
                (0, "LOADIWKEY exiting"), (1, "Enable HLAT"), (2, "EPT paging-write control"),
                (3, "Guest-paging verification"), (4, "IPI virtualization"), (5, "SEAM guest-physical address width"),
                (6, "Enable MSR-list instructions"), (7, "Virtualize IA32_SPEC_CTRL"),
                (8, "APIC-timer virtualization"), (9, "Enable PBNDKB"), (12, "PEBS uses guest physical addresses"),
            ]))

    private static let exit = (
        title: "primary VM-exit controls",
        names: [
            (2, "Save debug controls"), (9, "Host address-space size"), (12, "Load IA32_PERF_GLOBAL_CTRL"),
            (15, "Acknowledge interrupt on exit"), (18, "Save IA32_PAT"), (19, "Load IA32_PAT"),
            (20, "Save IA32_EFER"), (21, "Load IA32_EFER"), (22, "Save VMX-preemption timer value"),
            (23, "Clear IA32_BNDCFGS"), (24, "Conceal VMX from PT"), (25, "Clear IA32_RTIT_CTL"),
            (26, "Clear IA32_LBR_CTL"), (27, "Clear UINV"), (28, "Load CET state"), (29, "Load PKRS"),
            (30, "Save IA32_PERF_GLOBAL_CTRL"), (31, "Activate secondary controls"),
        ] as [(bit: Int, name: String)]
    )

    private static let secondaryExit = VMXSection(
        title: "secondary VM-exit controls",
        content: .controls(
            .mayBeOne(.exit2),
            [
                (0, "Save FRED"), (1, "Load FRED"), (2, "Load IA32_SPEC_CTRL"), (3, "Prematurely busy shadow stack"),
            ]))

    private static let entry = (
        title: "VM-entry controls",
        names: [
            (2, "Load debug controls"), (9, "IA-32e mode guest"), (10, "Entry to SMM"),
            (11, "Deactivate dual-monitor treatment"), (13, "Load IA32_PERF_GLOBAL_CTRL"), (14, "Load IA32_PAT"),
            (15, "Load IA32_EFER"), (16, "Load IA32_BNDCFGS"), (17, "Conceal VMX from PT"),
            (18, "Load IA32_RTIT_CTL"), (19, "Load UINV"), (20, "Load CET state"), (21, "Load guest IA32_LBR_CTL"),
            (22, "Load PKRS"), (23, "Load FRED"),
        ] as [(bit: Int, name: String)]
    )

    private static let cr0 = VMXSection(
        title: "CR0 in VMX operation",
        content: .controls(
            .fixed(.cr0Fixed0, .cr0Fixed1),
            [
                (0, "PE"), (1, "MP"), (2, "EM"), (3, "TS"), (4, "ET"), (5, "NE"), (16, "WP"), (18, "AM"), (29, "NW"),
                (30, "CD"), (31, "PG"),
            ]))

    private static let cr4 = VMXSection(
        title: "CR4 in VMX operation",
        content: .controls(
            .fixed(.cr4Fixed0, .cr4Fixed1),
            [
                (0, "VME"), (1, "PVI"), (2, "TSD"), (3, "DE"), (4, "PSE"), (5, "PAE"), (6, "MCE"), (7, "PGE"),
                (8, "PCE"), (9, "OSFXSR"), (10, "OSXMMEXCPT"), (11, "UMIP"), (12, "LA57"), (13, "VMXE"),
                (14, "SMXE"), (16, "FSGSBASE"), (17, "PCIDE"), (18, "OSXSAVE"), (19, "KL"), (20, "SMEP"),
                (21, "SMAP"), (22, "PKE"), (23, "CET"), (24, "PKS"), (25, "UINTR"), (28, "LAM_SUP"), (32, "FRED"),
            ]))

    private static let functions = VMXSection(
        title: "VM functions", content: .controls(.mayBeOne(.functions), [(0, "EPTP switching")]))
}

// MARK: Facts

extension VMXSection {
    private static let basic = VMXSection(
        title: "basic VMX information",
        content: .facts(
            .basic,
            [
                VMXFact(0...30, "VMCS revision identifier", .hexadecimal),
                VMXFact(32...44, "Bytes of VMXON region and VMCS", .number),
                VMXFact(48, "Their physical addresses have 32 bits at most"),
                VMXFact(49, "Dual-monitor treatment of SMIs and SMM"),
                VMXFact(50...53, "Memory type of VMCS accesses", .memoryType),
                VMXFact(54, "VM exits for INS and OUTS report the instruction"),
                VMXFact(55, "Controls of the default1 class may be 0 (the TRUE MSRs)"),
                VMXFact(56, "Hardware exceptions with or without an error code"),
                VMXFact(58, "Nested exceptions (FRED)"),
            ]))

    private static let miscellaneous = VMXSection(
        title: "miscellaneous data",
        content: .facts(
            .miscellaneous,
            [
                VMXFact(0...4, "TSC bit that the VMX-preemption timer follows", .number),
                VMXFact(5, "VM exits store EFER.LMA into \"IA-32e mode guest\""),
                VMXFact(6, "Activity state HLT"), VMXFact(7, "Activity state shutdown"),
                VMXFact(8, "Activity state wait-for-SIPI"), VMXFact(14, "Intel PT in VMX operation"),
                VMXFact(15, "RDMSR of IA32_SMBASE in SMM"), VMXFact(16...24, "CR3-target values", .number),
                VMXFact(25...27, "MSRs in a list at most, as recommended", .listLength),
                VMXFact(28, "IA32_SMM_MONITOR_CTL bit 2 can be set"),
                VMXFact(29, "VMWRITE to VM-exit information fields"),
                VMXFact(30, "Events can be injected with instruction length 0"),
                VMXFact(32...63, "MSEG revision identifier", .hexadecimal),
            ]))

    private static let fieldEnumeration = VMXSection(
        title: "VMCS enumeration",
        content: .facts(.fieldEnumeration, [VMXFact(1...9, "Highest index of a VMCS field", .number)]))

    private static let pagingCapabilities = VMXSection(
        title: "EPT and VPID capabilities",
        content: .facts(
            .pagingCapabilities,
            [
                VMXFact(0, "Execute-only translations"), VMXFact(6, "Page walks of length 4"),
                VMXFact(7, "Page walks of length 5"), VMXFact(8, "Paging structures uncacheable (UC)"),
                VMXFact(14, "Paging structures write-back (WB)"), VMXFact(16, "2-MByte pages"),
                VMXFact(17, "1-GByte pages"), VMXFact(20, "INVEPT"), VMXFact(21, "Accessed and dirty flags"),
                VMXFact(22, "Advanced VM-exit information for EPT violations"),
                VMXFact(23, "Supervisor shadow-stack control"), VMXFact(25, "INVEPT, single-context"),
                VMXFact(26, "INVEPT, all-context"), VMXFact(32, "INVVPID"),
                VMXFact(40, "INVVPID, individual-address"), VMXFact(41, "INVVPID, single-context"),
                VMXFact(42, "INVVPID, all-context"),
                VMXFact(43, "INVVPID, single-context-retaining-globals"),
                VMXFact(48...53, "Maximum HLAT prefix size", .number),
            ]))
}
