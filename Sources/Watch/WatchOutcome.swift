package import Counters
import Host
package import Report
package import Tracepoints

/// What was counted of a process up to some moment of a watch.
package struct WatchLook: Sendable {
    /// The exits, those included that were passed on to the process.
    package let exits: KernelSettledExits
    /// Exits that are in no row: of vCPUs that had no place.
    package let lostExits: UInt64
    /// Since the watch began.
    package let elapsed: Duration

    package init(exits: KernelSettledExits, lostExits: UInt64, elapsed: Duration) {
        self.exits = exits
        self.lostExits = lostExits
        self.elapsed = elapsed
    }
}

/// What came between two moments of a watch.
package struct WatchInterval: Sendable {
    /// The exits of this time.
    package let exits: KernelSettledExits
    /// Exits of this time that are in no row.
    package let lostExits: UInt64
    /// All exits since the watch began, lost ones left out.
    package let exitsSoFar: UInt64
    /// How long the watch has taken so far.
    package let elapsed: Duration
    /// How long this time was.
    package let length: Duration
    /// All exits since the watch began.
    package let all: KernelSettledExits

    /// - Parameters:
    ///   - earlier: The first moment; nil for the start of the watch.
    ///   - later: The second.
    package init(from earlier: WatchLook?, to later: WatchLook) {
        exits = earlier.map { later.exits.since($0.exits) } ?? later.exits
        lostExits = later.lostExits &- (earlier?.lostExits ?? 0)
        exitsSoFar = later.exits.hardwareExits
        elapsed = later.elapsed
        length = later.elapsed - (earlier?.elapsed ?? .zero)
        all = later.exits
    }
}

/// How a watch ended.
package enum WatchEnding: Hashable, Sendable {
    /// The time that was asked for is over.
    case timeUp
    /// The process has ended.
    case processEnded
    /// A signal ended the watch.
    case signal(Int32)
    /// The watch was stopped.
    case stopped

    /// A short name.
    package var name: String {
        switch self {
        case .timeUp: "time_up"
        case .processEnded: "process_ended"
        case .signal: "signal"
        case .stopped: "stopped"
        }
    }
}

/// KVM's own count of exits against the tracepoints', from shortly after the start of the watch to its end.
package struct KernelCheck: Hashable, Sendable {
    /// By how much KVM's statistic `exits` rose.
    package let kernel: UInt64
    /// By how much the tracepoints' count rose: at least, and at most. While a guest runs, two counts are never read at
    /// the same moment.
    package let tracepoints: ClosedRange<UInt64>

    package init(kernel: UInt64, tracepoints: ClosedRange<UInt64>) {
        self.kernel = kernel
        self.tracepoints = tracepoints
    }

    /// Whether the two counts can be the same.
    package var agrees: Bool { tracepoints.contains(kernel) }
}

/// What a watch has come to.
package struct WatchOutcome: Sendable {
    /// The process's number.
    package let process: Int32
    /// What the process is called.
    package let name: String
    /// The numbers of the vCPUs that it had when the watch began.
    package let vcpus: [Int]
    /// How many machines it had.
    package let machineCount: Int
    /// How the programs were attached.
    package let method: ExitTracepoints.Method
    /// How the watch ended.
    package var ending = WatchEnding.stopped
    /// What was counted.
    package let look: WatchLook
    /// KVM's own count beside it; nil where it cannot be read.
    package let check: KernelCheck?
    /// What a pulse failed with, which ended the watch.
    package var error: (any Error)?

    package init(
        process: Int32, name: String, vcpus: [Int], machineCount: Int, method: ExitTracepoints.Method, look: WatchLook,
        check: KernelCheck?
    ) {
        self.process = process
        self.name = name
        self.vcpus = vcpus
        self.machineCount = machineCount
        self.method = method
        self.look = look
        self.check = check
    }

    /// The numbers of the vCPUs whose rows are worth showing: those that it had, and those that came later and exited.
    package var shownVCPUs: [Int] {
        let active = look.exits.vcpus.indices.filter { !look.exits.vcpus[$0].isEmpty }
        return Set(vcpus + active).sorted()
    }
}

extension WatchInterval {
    /// The exits so far, as the full-screen view takes them: those that KVM settled, and those that it passed on.
    package var sample: LiveSample {
        let rows = all.vcpus.enumerated().flatMap { index, rows in
            KernelSettledExits.Row.byReason(rows).flatMap { row -> [LiveSample.Row] in
                let name = row.name(isSVM: all.isSVM)
                func line(_ settler: ExitBreakdown.Settler, _ exits: UInt64, _ nanoseconds: UInt64) -> LiveSample.Row? {
                    guard exits > 0 else { return nil }
                    return LiveSample.Row(
                        name: name, sdm: row.reason?.rawValue, settler: settler, vcpu: index, exits: exits,
                        nanoseconds: Double(nanoseconds))
                }
                return [
                    line(.kvm, row.exits, row.nanoseconds),
                    line(.miniVMM, row.passedOnExits, row.passedOnNanoseconds &+ row.userNanoseconds),
                ].compactMap(\.self)
            }
        }
        return LiveSample(elapsed: elapsed.inSeconds, rows: rows)
    }
}
