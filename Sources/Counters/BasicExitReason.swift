/// A basic exit reason, as the Intel SDM numbers them: how guests ask for one type of exit.
///
/// Source: Intel SDM, volume 3, appendix "VMX basic exit reasons".
public struct BasicExitReason: RawRepresentable, Hashable, Sendable {
    /// The number, which the SDM defines.
    public let rawValue: UInt32

    /// The reason with the given number, or nil where the SDM defines none.
    public init?(rawValue: UInt32) {
        guard rawValue <= Self.maximum, !Self.gaps.contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    private init(known rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The maximum number that the SDM defines: WRMSRNS with an immediate operand.
    package static let maximum: UInt32 = 85

    /// The numbers up to ``maximum`` that the SDM leaves out.
    package static let gaps: [UInt32] = [35, 38, 42, 71, 82, 83]

    /// Exception or non-maskable interrupt.
    public static let exceptionOrNMI = Self(known: 0)
    /// External interrupt.
    public static let externalInterrupt = Self(known: 1)
    /// Triple fault.
    public static let tripleFault = Self(known: 2)
    /// Interrupt window.
    public static let interruptWindow = Self(known: 7)
    /// CPUID.
    public static let cpuid = Self(known: 10)
    /// HLT.
    public static let hlt = Self(known: 12)
    /// VMCALL.
    public static let vmcall = Self(known: 18)
    /// I/O instruction.
    public static let ioInstruction = Self(known: 30)
    /// RDMSR.
    public static let rdmsr = Self(known: 31)
    /// WRMSR.
    public static let wrmsr = Self(known: 32)
    /// VM-entry failure due to invalid guest state.
    public static let entryFailureGuestState = Self(known: 33)
    /// TPR below threshold.
    public static let tprBelowThreshold = Self(known: 43)
    /// APIC access.
    public static let apicAccess = Self(known: 44)
    /// Virtualized EOI.
    public static let virtualizedEOI = Self(known: 45)
    /// EPT violation.
    public static let eptViolation = Self(known: 48)
    /// EPT misconfiguration.
    public static let eptMisconfiguration = Self(known: 49)
    /// Page-modification log full.
    public static let pageModificationLogFull = Self(known: 62)
    /// Bus lock.
    public static let busLock = Self(known: 74)
    /// Instruction timeout.
    public static let instructionTimeout = Self(known: 75)
    /// TDCALL.
    public static let tdcall = Self(known: 77)
}
