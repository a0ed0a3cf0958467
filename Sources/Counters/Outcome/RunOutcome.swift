public import Host
public import KVM
import Memory

/// A run that is over: how it ended and what it came to.
public struct RunOutcome: Sendable {
    /// How it ended.
    public let ending: RunEnding
    /// The exits and their cost.
    public let statistics: RunStatistics
    /// From the first vCPU's start to the last one's end.
    public let duration: Duration
    /// The frequency of the time-stamp counter in kHz, where it is known: cycles divided by it are milliseconds.
    public let tscKHz: UInt32?
    /// The CPUID trap that was used; never `auto`.
    public let trap: CPUIDTrap
    /// Ports that nobody claims and the guest touched, in ascending order.
    public let unclaimedPorts: [UnclaimedAddress]
    /// Pages of addresses without memory that nobody claims and the guest touched, in ascending order.
    public let unclaimedPages: [UnclaimedAddress]
    /// Exits over time, if the machine was to keep that.
    public package(set) var timeline: ExitTimeline?
    /// How the service times are distributed, by kind, if the machine was to keep the exits over time.
    public package(set) var distributions: [ServiceTimeDistribution] = []
    /// KVM's own statistics of each vCPU, if the machine was to read them and this KVM has any.
    public package(set) var kernelStatistics: [KernelStatistics] = []
    /// Which exits were counted; never `auto`.
    public package(set) var scope = ExitScope.user
    /// Why not every exit was counted, where that was wanted if it works.
    public package(set) var narrowScopeReason: String?
    /// What the guest asked the counter leaves, if it asked them and a trap caught that.
    public package(set) var counterLeaves: CounterLeafUse?
    /// The exits that KVM settled itself, by reason, if the machine counted every exit.
    public package(set) var kernelSettled: KernelSettledExits?
    /// What the machine's virtio devices have done, in the order of their places.
    public package(set) var devices: [DeviceActivity] = []
    /// Where the exits came from, if the machine was to keep that.
    public package(set) var places: ExitPlaces?
    /// What MSR_LSTAR was when the run was over, if places were kept: the guest's handler of SYSCALL, or 0.
    package var systemCallHandler: UInt64?
    /// How the vCPUs' threads came to run, if the machine was to ask.
    public package(set) var scheduling: RunScheduling?
    /// The exits one by one, if the machine was to keep them.
    public package(set) var trace: ExitTrace?

    /// The given values.
    package init(
        ending: RunEnding, statistics: RunStatistics, duration: Duration, tscKHz: UInt32?, trap: CPUIDTrap,
        unclaimedPorts: [UnclaimedAddress], unclaimedPages: [UnclaimedAddress]
    ) {
        self.ending = ending
        self.statistics = statistics
        self.duration = duration
        self.tscKHz = tscKHz
        self.trap = trap
        self.unclaimedPorts = unclaimedPorts
        self.unclaimedPages = unclaimedPages
    }
}

extension RunOutcome {
    /// ``duration`` in seconds.
    package var seconds: Double {
        duration.inSeconds
    }
}

/// How the threads of a run's vCPUs came to run.
public struct RunScheduling: Hashable, Sendable {
    /// Each vCPU; nil where the kernel does not tell.
    public let vcpus: [ThreadScheduling?]
    /// What hypervisors took from all of the host's processors meanwhile, in nanoseconds, to a hundredth of a second.
    public let stolenNanoseconds: UInt64?

    /// The given values.
    package init(vcpus: [ThreadScheduling?], stolenNanoseconds: UInt64?) {
        self.vcpus = vcpus
        self.stolenNanoseconds = stolenNanoseconds
    }
}

/// A port, or a page of addresses without memory, that nobody claims and a guest touched all the same.
public struct UnclaimedAddress: Hashable, Sendable {
    /// The port, or the first address of the page.
    public let address: UInt64
    /// How often it was read; a string instruction counts once.
    public package(set) var reads: UInt64
    /// How often it was written; a string instruction counts once.
    public package(set) var writes: UInt64

    /// The given values.
    package init(address: UInt64, reads: UInt64, writes: UInt64) {
        self.address = address
        self.reads = reads
        self.writes = writes
    }
}

extension UnclaimedAddress {
    /// The sums over several vCPUs, in ascending order.
    package static func sum(_ lists: [[UnclaimedAddress]]) -> [UnclaimedAddress] {
        var sums: [UInt64: UnclaimedAddress] = [:]
        for address in lists.joined() {
            sums[address.address, default: UnclaimedAddress(address: address.address, reads: 0, writes: 0)]
                .add(address)
        }
        return sums.values.sorted { $0.address < $1.address }
    }

    private mutating func add(_ other: UnclaimedAddress) {
        reads &+= other.reads
        writes &+= other.writes
    }
}

/// How a guest's CPUID instructions are brought out to MiniVMM.
public enum CPUIDTrap: String, CaseIterable, Hashable, Sendable {
    /// The best that works on this host and suffices for the guest.
    case auto
    /// A debug register on each site: touches no guest memory, and is good for up to four sites.
    case debug
    /// An OUT of the same length in place of each site.
    case patch
    /// Single-stepping: exact for any code, and slow.
    case step
    /// Linux guests: the #GP that CPUID raises in programs when CPUID faulting is on.
    case fault
    /// None: the counter leaves read as zeros.
    case none
}

/// The machine that a guest runs on.
public struct MachineDescription: Hashable, Sendable {
    /// The size of its memory, in bytes.
    public let memorySize: UInt64
    /// The number of its vCPUs.
    public let vcpuCount: Int

    /// The given values.
    package init(memorySize: UInt64, vcpuCount: Int) {
        self.memorySize = memorySize
        self.vcpuCount = vcpuCount
    }
}
