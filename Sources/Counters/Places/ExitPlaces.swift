package import Tracepoints

/// The places that a run's exits come from, as many as there was room for: those that MiniVMM settles, and where KVM's
/// are counted those that KVM settles itself.
public struct ExitPlaces: Hashable, Sendable {
    /// What an exit is about.
    public enum Subject: Hashable, Sendable {
        /// An MSR, by its number.
        case msr(UInt32)
        /// A leaf of CPUID, and its subleaf; 0 for leaves that have none, whatever is in ECX.
        case cpuid(leaf: UInt32, subleaf: UInt32)
        /// A port.
        case port(UInt16)
        /// The first address of a page: guest-physical, or linear where KVM shadows the guest's page tables.
        case page(UInt64)
        /// A hypercall, by its number.
        case hypercall(UInt64)
    }

    /// What an exit was, and who settled it.
    public enum Exit: Hashable, Sendable {
        /// MiniVMM did.
        case minivmm(ExitKind)
        /// KVM did: the processor's own number, which is a VMX reason or an SVM exit code, nil for all that has no place
        /// of its own; and the SDM's number for it, if there is one.
        case kvm(code: UInt32?, reason: BasicExitReason?)

        /// Whether KVM settled it.
        public var isKernels: Bool { if case .kvm = self { true } else { false } }

        /// The SDM's number.
        public var reason: BasicExitReason? {
            switch self {
            case .minivmm(let kind): kind.basicExitReason
            case .kvm(_, let reason): reason
            }
        }
    }

    /// A function of the guest, and how far into it an instruction is.
    public struct Function: Hashable, Sendable {
        /// Its name.
        public let name: String
        /// Bytes from its start.
        public let offset: UInt64

        /// The given values.
        package init(name: String, offset: UInt64) {
            self.name = name
            self.offset = offset
        }
    }

    /// An instruction of the guest, and what it was about.
    public struct Place: Hashable, Sendable {
        /// The vCPU.
        public let vcpu: Int
        /// What the exits were.
        public let exit: Exit
        /// The instruction's address, as RIP has it, without the segment's base; nil where the kernel does not tell.
        /// Where KVM's emulator ran an OUT or a store, RIP is behind that instruction.
        public let address: UInt64?
        /// What it was about, where that is known.
        public let subject: Subject?
        /// The function that has the instruction, where symbols were given.
        public package(set) var function: Function?
        /// How many exits.
        public package(set) var exits: UInt64
        /// What was spent on them: service time in cycles where MiniVMM settled them; nanoseconds, sleep taken off, where
        /// KVM did.
        public package(set) var time: UInt64
        /// How many took from 2^n up to 2^(n+1) of these, the last without an end.
        public package(set) var histogram: [UInt64]

        package init(
            vcpu: Int, exit: Exit, address: UInt64?, subject: Subject?, exits: UInt64, time: UInt64,
            histogram: [UInt64]
        ) {
            self.vcpu = vcpu
            self.exit = exit
            self.address = address
            self.subject = subject
            self.exits = exits
            self.time = time
            self.histogram = histogram
        }
    }

    /// A device, and where a guest finds it.
    public struct Claim: Hashable, Sendable {
        /// What reports call the device.
        public let name: String
        /// Whether the addresses are ports; else they are guest-physical.
        public let isPort: Bool
        /// The first address.
        public let first: UInt64
        /// The last address.
        public let last: UInt64

        /// The given values.
        package init(name: String, isPort: Bool, first: UInt64, last: UInt64) {
            self.name = name
            self.isPort = isPort
            self.first = first
            self.last = last
        }
    }

    /// The places, those with most exits first.
    public package(set) var places: [Place]
    /// Exits that MiniVMM settled and whose places found no room.
    public let lostExits: UInt64
    /// Exits that KVM settled and whose places found no room; nil where KVM's were not counted.
    public let kernelLostExits: UInt64?
    /// Whether the processor's numbers are SVM's exit codes; else they are VMX's basic exit reasons.
    public let isSVM: Bool
    /// Cycles of the time-stamp counter in a nanosecond; 1 where its frequency is not known.
    public let cyclesPerNanosecond: Double
    /// The devices of the machine.
    public package(set) var claims: [Claim] = []

    package init(
        places: [Place], lostExits: UInt64 = 0, kernelLostExits: UInt64? = nil, isSVM: Bool = false,
        cyclesPerNanosecond: Double = 1
    ) {
        // Places that differ in what does not matter are one.
        var sums: [Key: Place] = [:]
        for place in places {
            sums[Key(place)] = sums[Key(place)].map { $0.adding(place) } ?? place
        }
        // The address settles ties, so that the order is the same each time.
        self.places = sums.values.sorted {
            ($0.exits, $0.time, $0.address ?? 0, $1.vcpu) > ($1.exits, $1.time, $1.address ?? 0, $0.vcpu)
        }
        self.lostExits = lostExits
        self.kernelLostExits = kernelLostExits
        self.isSVM = isSVM
        self.cyclesPerNanosecond = cyclesPerNanosecond
    }

    /// How many places are kept unless told otherwise: 2^14, in about 5 MiB of each vCPU, and of the kernel where its
    /// exits are counted.
    public static let defaultCapacity = 1 << 14

    /// The buckets of a histogram.
    package static let bucketCount = ExitSlot.bucketCount
}

extension ExitPlaces {
    /// A time of an exit in nanoseconds.
    package func nanoseconds(_ time: UInt64, of exit: Exit) -> UInt64 {
        exit.isKernels ? time : UInt64(exactly: (Double(time) / cyclesPerNanosecond).rounded()) ?? .max
    }

    /// A time of an exit in cycles of the time-stamp counter.
    package func cycles(_ time: UInt64, of exit: Exit) -> UInt64 {
        exit.isKernels ? UInt64(exactly: (Double(time) * cyclesPerNanosecond).rounded()) ?? .max : time
    }

    /// The upper end of the bucket in which the given share of the exits lies, at most the limit; 0 without exits.
    ///
    /// - Parameters:
    ///   - share: From 0 to 1.
    ///   - histogram: How many took from 2^n up to 2^(n+1).
    ///   - limit: The longest time, where it is known.
    package static func quantile(_ share: Double, of histogram: [UInt64], atMost limit: UInt64 = .max) -> UInt64 {
        let total = histogram.reduce(0, &+)
        guard total > 0 else { return 0 }
        let wanted = max(1, UInt64((Double(total) * share).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, count) in histogram.enumerated() {
            seen &+= count
            if seen >= wanted { return min(limit, (UInt64(2) << UInt64(bucket)) &- 1) }
        }
        return limit
    }

    /// The places of one vCPU. What found no room is not known by vCPU, and is left out.
    package func places(ofVCPU vcpu: Int) -> ExitPlaces {
        var one = ExitPlaces(
            places: places.filter { $0.vcpu == vcpu }, isSVM: isSVM, cyclesPerNanosecond: cyclesPerNanosecond)
        one.claims = claims
        return one
    }

    /// Names the functions.
    ///
    /// - Parameter find: The function that has a place's address, and how far into it the address is.
    package mutating func name(by find: (Place) -> Function?) {
        for index in places.indices { places[index].function = find(places[index]) }
    }

    /// The device that claims what an exit was about.
    package func device(at subject: Subject) -> String? {
        switch subject {
        case .port(let port): claims.first { $0.isPort && $0.first <= UInt64(port) && UInt64(port) <= $0.last }?.name
        case .page(let page): claims.first { !$0.isPort && $0.first <= page &+ 0xfff && page <= $0.last }?.name
        case .msr, .cpuid, .hypercall: nil
        }
    }
}

extension ExitPlaces {
    /// What makes a place.
    private struct Key: Hashable {
        let vcpu: Int
        let exit: Exit
        let address: UInt64?
        let subject: Subject?

        init(_ place: Place) {
            (vcpu, exit, address, subject) = (place.vcpu, place.exit, place.address, place.subject)
        }
    }
}

extension ExitPlaces.Place {
    /// The sum with another place.
    fileprivate func adding(_ other: Self) -> Self {
        var sum = self
        sum.exits &+= other.exits
        sum.time &+= other.time
        for (bucket, count) in other.histogram.enumerated() where sum.histogram.indices.contains(bucket) {
            sum.histogram[bucket] &+= count
        }
        return sum
    }

    /// A place as the tracepoints have it.
    package init(_ place: ExitPlace, reason: BasicExitReason?) {
        self.init(
            vcpu: place.thread, exit: .kvm(code: HardwareExits.code(place.reason), reason: reason),
            address: place.address == 0 ? nil : place.address,
            subject: place.detail.flatMap { ExitPlaces.Subject($0, of: reason) }, exits: place.count,
            time: place.nanoseconds, histogram: place.histogram)
    }
}

extension ExitPlaces.Subject {
    /// What KVM told of an exit for a reason; nil when it told of something else, which came between.
    init?(_ detail: UInt64, of reason: BasicExitReason?) {
        switch reason {
        case .some(.rdmsr), .some(.wrmsr): self = .msr(UInt32(truncatingIfNeeded: detail))
        case .some(.cpuid):
            let leaf = UInt32(truncatingIfNeeded: detail >> 32)
            self = .cpuid(leaf: leaf, subleaf: Self.hasSubleaves(leaf) ? UInt32(truncatingIfNeeded: detail) : 0)
        case .some(.ioInstruction): self = .port(UInt16(truncatingIfNeeded: detail))
        case .some(.eptViolation), .some(.eptMisconfiguration), .some(.exceptionOrNMI), .some(.apicAccess):
            self = .page(detail)
        default: return nil
        }
    }

    /// Whether a leaf depends on ECX. Of others it holds what the program had there by chance.
    ///
    /// Source: Intel SDM, volume 2, "CPUID"; AMD APM, volume 3, appendix E; the counter leaves.
    @inline(__always)
    package static func hasSubleaves(_ leaf: UInt32) -> Bool {
        // Bit n: leaf n, or 0x80000000 + n.
        let standard: UInt64 = 0x19_ad95_a890
        let extended: UInt64 = 0x41_2000_0000
        if leaf < 64 { return standard >> UInt64(leaf) & 1 == 1 }
        if leaf & 0xffff_ffc0 == 0x8000_0000 { return extended >> UInt64(leaf & 63) & 1 == 1 }
        return leaf & 0xffff_fffc == 0x4fff_fffc
    }

    /// What an exit of a kind was about, as a trace event has it.
    init?(_ kind: ExitKind, subject: UInt64, extra: UInt32) {
        switch kind {
        case .portIn, .portOut: self = .port(UInt16(truncatingIfNeeded: subject))
        case .mmioRead, .mmioWrite: self = .page(subject)
        case .rdmsr, .wrmsr: self = .msr(UInt32(truncatingIfNeeded: subject))
        case .cpuid: self = .cpuid(leaf: UInt32(truncatingIfNeeded: subject), subleaf: extra)
        case .hypercall: self = .hypercall(subject)
        default: return nil
        }
    }
}

extension [ExitPlaces.Place] {
    /// Takes out the exits that KVM settled by raising the fault by which CPUIDs came out to MiniVMM: they are counted
    /// there. Of those KVM tells the address alone.
    ///
    /// - Parameter own: What MiniVMM settled.
    package mutating func removeCarried(by own: [ExitPlaces.Place]) {
        // By vCPU, then by address.
        var carried: [Int: [UInt64?: UInt64]] = [:]
        for place in own where place.exit == .minivmm(.cpuid) {
            carried[place.vcpu, default: [:]][place.address, default: 0] &+= place.exits
        }
        for index in indices where self[index].exit.reason == .cpuid && self[index].subject == nil {
            let count = carried[self[index].vcpu]?[self[index].address] ?? 0
            self[index].exits &-= Swift.min(self[index].exits, count)
        }
        removeAll { $0.exits == 0 }
    }
}
