public import KVM

/// What an exit was, for accounting.
///
/// `cpuid` has no exit of KVM behind it: a trap that serviced a CPUID instruction is booked under it, not under the
/// I/O or debug exit that carried it.
public enum ExitKind: Int, CaseIterable, Hashable, Sendable {
    /// IN, INS.
    case portIn
    /// OUT, OUTS.
    case portOut
    /// A read from an address without memory.
    case mmioRead
    /// A write to an address without memory.
    case mmioWrite
    /// HLT.
    case hlt
    /// CPUID, serviced by a trap.
    case cpuid
    /// RDMSR.
    case rdmsr
    /// WRMSR.
    case wrmsr
    /// VMCALL or VMMCALL.
    case hypercall
    /// A debug exit that no trap of MiniVMM asked for.
    case debug
    /// An exception.
    case exception
    /// A non-maskable interrupt.
    case nmi
    /// A triple fault.
    case shutdown
    /// A failed entry into the guest.
    case failEntry
    /// KVM cannot go on.
    case internalError
    /// The guest can take an interrupt.
    case irqWindowOpen
    /// An external interrupt.
    case interrupted
    /// The task priority went down.
    case setTPR
    /// An access to the task priority register.
    case tprAccess
    /// An end of interrupt.
    case ioapicEOI
    /// A system event.
    case systemEvent
    /// A Hyper-V exit.
    case hyperV
    /// A full dirty ring.
    case dirtyRingFull
    /// A processor held in reset.
    case apResetHold
    /// A bus lock.
    case busLock
    /// A Xen hypercall.
    case xen
    /// Interrupts held off for too long.
    case notify
    /// A memory fault left to this process.
    case memoryFault
    /// A call of a TDX guest.
    case tdx
    /// An exit that KVM or this version does not know.
    case unknown
}

extension ExitKind {
    /// The number of kinds.
    @inlinable
    package static var count: Int { ExitKind.unknown.index + 1 }

    /// The same as ``rawValue``, which the compiler does not inline into other modules.
    @inlinable
    @inline(__always)
    package var index: Int {
        // Sound: an enumeration of less than 256 cases without values is a byte that holds the case's number, and a test
        // compares each with its raw value.
        unsafe Int(unsafeBitCast(self, to: UInt8.self))
    }

    /// The name in tables and files: lower case, words joined by underscores. Part of the JSON format.
    public var name: String {
        switch self {
        case .portIn: "io_in"
        case .portOut: "io_out"
        case .mmioRead: "mmio_read"
        case .mmioWrite: "mmio_write"
        case .hlt: "hlt"
        case .cpuid: "cpuid"
        case .rdmsr: "rdmsr"
        case .wrmsr: "wrmsr"
        case .hypercall: "hypercall"
        case .debug: "debug"
        case .exception: "exception"
        case .nmi: "nmi"
        case .shutdown: "shutdown"
        case .failEntry: "fail_entry"
        case .internalError: "internal_error"
        case .irqWindowOpen: "irq_window_open"
        case .interrupted: "intr"
        case .setTPR: "set_tpr"
        case .tprAccess: "tpr_access"
        case .ioapicEOI: "ioapic_eoi"
        case .systemEvent: "system_event"
        case .hyperV: "hyperv"
        case .dirtyRingFull: "dirty_ring_full"
        case .apResetHold: "ap_reset_hold"
        case .busLock: "bus_lock"
        case .xen: "xen"
        case .notify: "notify"
        case .memoryFault: "memory_fault"
        case .tdx: "tdx"
        case .unknown: "unknown"
        }
    }

    /// The basic exit reason that the kind is booked under, or nil where the SDM has none that fits.
    ///
    /// Source: Intel SDM, volume 3, appendix "VMX basic exit reasons"; which of KVM's exits comes from which is from
    /// arch/x86/kvm/vmx/vmx.c.
    public var basicExitReason: BasicExitReason? {
        switch self {
        case .portIn, .portOut: .ioInstruction
        // KVM learns of MMIO by an EPT violation first and by EPT misconfigurations later on; users ask for 48.
        case .mmioRead, .mmioWrite, .memoryFault: .eptViolation
        case .hlt: .hlt
        case .cpuid: .cpuid
        case .rdmsr: .rdmsr
        case .wrmsr: .wrmsr
        case .hypercall, .hyperV, .xen: .vmcall
        case .debug, .exception, .nmi: .exceptionOrNMI
        case .shutdown: .tripleFault
        case .failEntry: .entryFailureGuestState
        case .irqWindowOpen: .interruptWindow
        case .interrupted: .externalInterrupt
        case .setTPR: .tprBelowThreshold
        case .tprAccess: .apicAccess
        case .ioapicEOI: .virtualizedEOI
        case .dirtyRingFull: .pageModificationLogFull
        case .busLock: .busLock
        case .notify: .instructionTimeout
        case .tdx: .tdcall
        case .internalError, .systemEvent, .apResetHold, .unknown: nil
        }
    }
}

extension Exit {
    /// What the exit is booked as, unless a trap finds that it carried a CPUID.
    @inlinable
    @inline(__always)
    package var kind: ExitKind {
        switch self {
        case .portIn: .portIn
        case .portOut: .portOut
        case .mmioRead: .mmioRead
        case .mmioWrite: .mmioWrite
        case .hlt: .hlt
        case .debug: .debug
        case .rdmsr: .rdmsr
        case .wrmsr: .wrmsr
        case .hypercall: .hypercall
        case .shutdown: .shutdown
        case .failEntry: .failEntry
        case .internalError: .internalError
        case .exception: .exception
        case .irqWindowOpen: .irqWindowOpen
        case .interrupted: .interrupted
        case .setTPR: .setTPR
        case .tprAccess: .tprAccess
        case .nmi: .nmi
        case .systemEvent: .systemEvent
        case .ioapicEOI: .ioapicEOI
        case .hyperV: .hyperV
        case .dirtyRingFull: .dirtyRingFull
        case .apResetHold: .apResetHold
        case .busLock: .busLock
        case .xen: .xen
        case .notify: .notify
        case .memoryFault: .memoryFault
        case .tdx: .tdx
        case .unknown, .other: .unknown
        }
    }
}
