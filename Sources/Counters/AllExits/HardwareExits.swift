import KVM
package import Tracepoints

/// What a processor's own exit reasons are in the SDM's numbers.
///
/// VMX's reasons are the SDM's. SVM's codes are mapped by what the guest did, so that the question "how many CPUIDs"
/// has one answer on both.
package enum HardwareExits {
    /// The SDM's reason for each index of ``ExitReasonIndex``, and nil where there is none.
    package static func reasons(of processorExtension: ProcessorExtension) -> [BasicExitReason?] {
        (0..<ExitReasonIndex.count).map { index in
            switch processorExtension {
            case .vmx: UInt32(exactly: index).flatMap(BasicExitReason.init(rawValue:))
            case .svm: svmReason(index).flatMap(BasicExitReason.init(rawValue:))
            }
        }
    }

    /// The number of the processor's own manual for an index: a VMX reason, or an SVM exit code.
    package static func code(_ index: Int) -> UInt32? {
        let index = Int32(truncatingIfNeeded: index)
        switch index {
        case ExitReasonIndex.mmio: return svmNestedPageFault
        case ExitReasonIndex.rdmsr: return svmMSR
        case ExitReasonIndex.other: return nil
        case ExitReasonIndex.nestedPaging...:
            return svmNestedPageFault &+ UInt32(truncatingIfNeeded: index &- ExitReasonIndex.nestedPaging)
        default: return UInt32(truncatingIfNeeded: index)
        }
    }

    private static let svmNestedPageFault: UInt32 = 0x400
    private static let svmMSR: UInt32 = 0x7c

    /// Source: AMD APM, volume 2, appendix C "SVM Intercept Exit Codes"; Intel SDM, volume 3, appendix "VMX basic exit
    /// reasons".
    ///
    /// Not one to one: VINTR_WINDOW's relatives and the NMI window of KVM (an intercepted IRET, 0x74) are 8, RSM, VMRUN
    /// and the other SVM instructions have no counterpart.
    private static func svmReason(_ index: Int) -> UInt32? {
        switch Int32(truncatingIfNeeded: index) {
        case 0x00...0x1f, 0x65, 0x90...0x9f: 28  // control registers
        case 0x20...0x3f: 29  // debug registers
        case 0x40...0x5f, 0x61, 0x88: 0  // exceptions, NMI
        case 0x60: 1  // INTR
        case 0x62: 6  // SMI
        case 0x63: 3  // INIT
        case 0x64: 7  // VINTR: the interrupt window
        case 0x66, 0x67, 0x6a, 0x6b: 46  // GDTR, IDTR
        case 0x68, 0x69, 0x6c, 0x6d: 47  // LDTR, TR
        case 0x6e: 16  // RDTSC
        case 0x6f: 15  // RDPMC
        case 0x72: 10  // CPUID
        case 0x73: 17  // RSM
        case 0x74: 8  // IRET: KVM's NMI window
        case 0x76: 13  // INVD
        case 0x77: 40  // PAUSE
        case 0x78, 0xa6: 12  // HLT
        case 0x79: 14  // INVLPG
        case 0x7b: 30  // IN, OUT
        case 0x7c: 32  // WRMSR
        case ExitReasonIndex.rdmsr: 31
        case 0x7d: 9  // task switch
        case 0x7f: 2  // shutdown
        case 0x80: 20  // VMRUN, as VMLAUNCH
        case 0x81: 18  // VMMCALL
        case 0x82: 21  // VMLOAD, as VMPTRLD
        case 0x83: 22  // VMSAVE, as VMPTRST
        case 0x86: 11  // SKINIT, as GETSEC
        case 0x87: 51  // RDTSCP
        case 0x89: 54  // WBINVD
        case 0x8a: 39  // MONITOR
        case 0x8b, 0x8c: 36  // MWAIT
        case 0x8d: 55  // XSETBV
        case 0x8f: 32  // EFER's write trap
        case 0xa2: 58  // INVPCID
        case 0xa5: 74  // bus lock
        case ExitReasonIndex.nestedPaging: 48  // nested page fault
        case ExitReasonIndex.mmio: 49  // nested page fault on a page that KVM keeps for MMIO
        case ExitReasonIndex.nestedPaging + 1: 56  // AVIC: incomplete IPI, as APIC write
        case ExitReasonIndex.nestedPaging + 2: 44  // AVIC: unaccelerated access, as APIC access
        default: nil
        }
    }
}

extension BasicExitReason {
    /// A short name, the instruction or event: at most 14 characters, as the report's table has room for.
    package var name: String { Self.names[rawValue] ?? "reason \(rawValue)" }

    private static let names: [UInt32: String] = [
        0: "exception, NMI", 1: "ext. interrupt", 2: "triple fault", 3: "INIT", 4: "SIPI", 5: "I/O SMI", 6: "SMI",
        7: "intr. window", 8: "NMI window", 9: "task switch", 10: "CPUID", 11: "GETSEC", 12: "HLT", 13: "INVD",
        14: "INVLPG", 15: "RDPMC", 16: "RDTSC", 17: "RSM", 18: "VMCALL", 19: "VMCLEAR", 20: "VMLAUNCH", 21: "VMPTRLD",
        22: "VMPTRST", 23: "VMREAD", 24: "VMRESUME", 25: "VMWRITE", 26: "VMXOFF", 27: "VMXON", 28: "CR access",
        29: "DR access", 30: "I/O", 31: "RDMSR", 32: "WRMSR", 33: "invalid state",
        34: "MSR loading", 36: "MWAIT", 37: "monitor trap", 39: "MONITOR", 40: "PAUSE", 41: "machine check",
        43: "TPR threshold", 44: "APIC access", 45: "virtual EOI", 46: "GDTR, IDTR", 47: "LDTR, TR",
        48: "EPT violation", 49: "EPT misconfig.", 50: "INVEPT", 51: "RDTSCP", 52: "VMX timer", 53: "INVVPID",
        54: "WBINVD", 55: "XSETBV", 56: "APIC write", 57: "RDRAND", 58: "INVPCID", 59: "VMFUNC", 60: "ENCLS",
        61: "RDSEED", 62: "PML full", 63: "XSAVES", 64: "XRSTORS", 65: "PCONFIG", 66: "SPP", 67: "UMWAIT",
        68: "TPAUSE", 69: "LOADIWKEY", 70: "ENCLV", 72: "ENQCMD PASID", 73: "ENQCMDS PASID", 74: "bus lock",
        75: "instr. timeout", 76: "SEAMCALL", 77: "TDCALL", 78: "RDMSRLIST", 79: "WRMSRLIST", 80: "URDMSR",
        81: "UWRMSR", 84: "RDMSR imm.", 85: "WRMSRNS imm.",
    ]
}
