package import Tracepoints

/// An exit code of AMD's SVM: how guests may ask for one type of exit in place of a ``BasicExitReason``.
///
/// Source: AMD APM, volume 2, appendix C "SVM Intercept Exit Codes". Its negative codes, for a VMRUN that failed, have 64
/// bits and do not fit into ECX; a guest that could ask for them does not run.
public struct SVMExitCode: RawRepresentable, Hashable, Sendable {
    /// The number, which the APM defines.
    public let rawValue: UInt32

    /// The code with the given number, or nil where the APM defines none.
    public init?(rawValue: UInt32) {
        guard rawValue <= Self.idleHLT.rawValue || Self.nestedPaging.contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    private init(known rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The codes from the nested page fault to VMGEXIT.
    private static let nestedPaging: ClosedRange<UInt32> = 0x400...0x403

    /// The maximum number that the APM defines.
    package static let maximum = nestedPaging.upperBound

    /// A write to CR8.
    static let writeCR8 = Self(known: 0x18)
    /// A debug exception.
    static let debugException = Self(known: 0x41)
    /// A physical interrupt.
    static let interrupt = Self(known: 0x60)
    /// A non-maskable interrupt.
    static let nmi = Self(known: 0x61)
    /// The interrupt window, by a virtual interrupt.
    static let virtualInterrupt = Self(known: 0x64)
    /// CPUID.
    static let cpuid = Self(known: 0x72)
    /// HLT.
    static let hlt = Self(known: 0x78)
    /// IN and OUT.
    static let io = Self(known: 0x7b)
    /// RDMSR and WRMSR.
    static let msr = Self(known: 0x7c)
    /// Shutdown.
    static let shutdown = Self(known: 0x7f)
    /// VMMCALL.
    static let vmmcall = Self(known: 0x81)
    /// Bus lock.
    static let busLock = Self(known: 0xa5)
    /// HLT with no interrupt pending: the last of the codes that follow each other.
    static let idleHLT = Self(known: 0xa6)
    /// Nested page fault.
    static let nestedPageFault = Self(known: 0x400)
    /// AVIC: an access to the APIC that the processor does not do alone.
    static let unacceleratedAPICAccess = Self(known: 0x402)
    /// VMGEXIT.
    static let vmgexit = Self(known: 0x403)
}

extension ExitKind {
    /// The SVM exit code that the kind is booked under, or nil where SVM has none that fits.
    ///
    /// It is a code that ``HardwareExits`` maps to the kind's ``basicExitReason``, but for CR8: KVM's exit for it is a CR
    /// write on SVM and a TPR threshold on VMX; and for a processor held in reset, for which VMX has no reason at all.
    /// Source: AMD APM, volume 2, appendix C; which of KVM's exits comes from which code is from arch/x86/kvm/svm.
    package var svmExitCode: SVMExitCode? {
        switch self {
        case .portIn, .portOut: .io
        case .mmioRead, .mmioWrite, .memoryFault: .nestedPageFault
        case .hlt: .hlt
        case .cpuid: .cpuid
        case .rdmsr, .wrmsr: .msr
        case .hypercall, .hyperV, .xen: .vmmcall
        case .debug: .debugException
        case .nmi: .nmi
        case .shutdown: .shutdown
        case .irqWindowOpen: .virtualInterrupt
        case .interrupted: .interrupt
        case .setTPR: .writeCR8
        case .tprAccess, .ioapicEOI: .unacceleratedAPICAccess
        case .busLock: .busLock
        case .apResetHold: .vmgexit
        // SVM has a code for each vector, and the kind has no vector; KVM makes this exit on VMX alone.
        case .exception: nil
        // Of VMX alone, or not the processor's.
        case .failEntry, .internalError, .systemEvent, .dirtyRingFull, .notify, .tdx, .unknown: nil
        }
    }
}

extension HardwareExits {
    /// The SVM exit code for each index of `ExitReasonIndex`, and nil where there is none.
    ///
    /// On an Intel processor it is the code for the same event, where there is just one: Intel has one reason for all
    /// exceptions, control registers, debug registers, and descriptor tables, and AMD a code for each.
    package static func svmExitCodes(of processorExtension: ProcessorExtension) -> [SVMExitCode?] {
        let codes = (0..<ExitReasonIndex.count).map { code($0).flatMap(SVMExitCode.init(rawValue:)) }
        guard processorExtension == .vmx else { return codes }
        var codeOfReason: [BasicExitReason: SVMExitCode] = [:]
        for (reason, code) in zip(reasons(of: .svm), codes) {
            // Of two codes for one instruction the first is the plain one.
            guard let reason, let code, codeOfReason[reason] == nil else { continue }
            codeOfReason[reason] = code
        }
        for number in severalCodes { codeOfReason[number] = nil }
        return reasons(of: .vmx).map { $0.flatMap { codeOfReason[$0] } }
    }

    /// Control registers, debug registers, exceptions, GDTR and IDTR, LDTR and TR.
    private static let severalCodes = [28, 29, 0, 46, 47].compactMap(BasicExitReason.init(rawValue:))
}
