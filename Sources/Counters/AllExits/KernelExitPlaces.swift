package import Tracepoints

/// The places that exits come from which KVM settles itself, as many as there was room for.
public struct KernelExitPlaces: Hashable, Sendable {
    /// What an exit is about.
    public enum Subject: Hashable, Sendable {
        /// An MSR, by its number.
        case msr(UInt32)
        /// A leaf of CPUID, and its subleaf.
        case cpuid(leaf: UInt32, subleaf: UInt32)
        /// A port.
        case port(UInt16)
        /// An address: guest-physical, or linear where KVM shadows the guest's page tables.
        case address(UInt64)
    }

    /// An instruction of the guest, and what it was about.
    public struct Place: Hashable, Sendable {
        /// The vCPU.
        public let vcpu: Int
        /// The processor's own number: a VMX reason or an SVM exit code; nil for all that has no place of its own.
        public let code: UInt32?
        /// The SDM's number for it, if there is one.
        public let reason: BasicExitReason?
        /// The instruction's address, as RIP has it, without the segment's base; nil where the kernel does not tell.
        public let address: UInt64?
        /// What it was about, where KVM tells.
        public let subject: Subject?
        /// How many exits.
        public package(set) var exits: UInt64
        /// What KVM took for them, in nanoseconds, sleep taken off.
        public package(set) var nanoseconds: UInt64
    }

    /// The places, those with most exits first.
    public let places: [Place]
    /// Exits whose places found no room.
    public let lostExits: UInt64

    package init(places: [Place], lostExits: UInt64) {
        self.places = places.sorted { ($0.exits, $0.nanoseconds) > ($1.exits, $1.nanoseconds) }
        self.lostExits = lostExits
    }

    /// How many places are kept unless told otherwise, in about 1.5 MiB of the kernel's memory.
    public static let defaultCapacity = 1 << 14
}

extension KernelExitPlaces.Place {
    /// A place as the tracepoints have it.
    package init(_ place: ExitPlace, reason: BasicExitReason?) {
        self.init(
            vcpu: place.thread, code: HardwareExits.code(place.reason), reason: reason,
            address: place.address == 0 ? nil : place.address,
            subject: place.detail.flatMap { KernelExitPlaces.Subject($0, of: reason) }, exits: place.count,
            nanoseconds: place.nanoseconds)
    }
}

extension KernelExitPlaces.Subject {
    /// What KVM told of an exit for a reason; nil when it told of something else, which came between.
    init?(_ detail: UInt64, of reason: BasicExitReason?) {
        switch reason {
        case .some(.rdmsr), .some(.wrmsr): self = .msr(UInt32(truncatingIfNeeded: detail))
        case .some(.cpuid):
            self = .cpuid(leaf: UInt32(truncatingIfNeeded: detail >> 32), subleaf: UInt32(truncatingIfNeeded: detail))
        case .some(.ioInstruction): self = .port(UInt16(truncatingIfNeeded: detail))
        case .some(.eptViolation), .some(.eptMisconfiguration), .some(.exceptionOrNMI), .some(.apicAccess):
            self = .address(detail)
        default: return nil
        }
    }
}
