extension Exit {
    /// What the exit is booked as, unless a trap finds that it carried a CPUID.
    @inline(__always)
    var kind: ExitKind {
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
