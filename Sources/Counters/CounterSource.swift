import CKVM
package import KVM
package import Tracepoints

/// Where counts and cycles come from that a guest is told of, and reports show.
///
/// A source is a class, so that asking one allocates nothing. Any thread may ask.
package protocol CounterSource: AnyObject, Sendable {
    /// Exits of all types, the one in progress included. Modulo 2^64.
    var totalExits: UInt64 { get }
    /// The cycles that finished exits took. Modulo 2^64; they never decrease.
    var totalCycles: UInt64 { get }
    /// Exits of one type.
    func exits(of type: ExitType) -> UInt64
    /// The cycles that finished exits of one type took.
    func cycles(of type: ExitType) -> UInt64
    /// Whether an exit of the type can occur here.
    func canOccur(_ type: ExitType) -> Bool

    /// Gets ready to count a vCPU's exits. Called on its thread, before it enters the guest.
    ///
    /// - Parameters:
    ///   - index: The vCPU.
    ///   - thread: The thread's number, as gettid(2) has it.
    func prepareThread(ofVCPU index: Int, thread: Int32) throws(TracepointError)
    /// What KVM settled itself so far, where the source knows. While a vCPU runs, its exit in progress counts as settled
    /// until it is passed on.
    func kernelSettledExits() -> KernelSettledExits?
    /// The exits alone of that, of each vCPU, at less cost: no system call.
    func settledCounts() -> [SettledCounts]?
    /// The places that exits come from which KVM settles, and the exits whose places found no room, if they are kept. Only
    /// when the vCPUs have ended.
    func kernelPlaces() -> (places: [ExitPlaces.Place], lostExits: UInt64)?
    /// A vCPU's exits that KVM settled, one by one, if they are kept. Only when its thread has ended.
    func kernelTrack(ofVCPU index: Int, _ clocks: ClockPairs) -> ExitTrace.Track<KernelTraceEvent>?
}

extension CounterSource {
    package func prepareThread(ofVCPU index: Int, thread: Int32) throws(TracepointError) {}
    package func kernelSettledExits() -> KernelSettledExits? { nil }
    package func settledCounts() -> [SettledCounts]? { nil }
    package func kernelPlaces() -> (places: [ExitPlaces.Place], lostExits: UInt64)? { nil }
    package func kernelTrack(ofVCPU index: Int, _ clocks: ClockPairs) -> ExitTrace.Track<KernelTraceEvent>? { nil }
}

/// The source `user`: the exits that reach MiniVMM, as the run loop counts them.
extension ExitCounterTable: CounterSource {
    package var totalCycles: UInt64 { totalServiceCycles }

    package func exits(of type: ExitType) -> UInt64 {
        switch type {
        case .sdm(let reason): exits(of: reason)
        case .svm(let code): exits(of: code)
        }
    }

    package func cycles(of type: ExitType) -> UInt64 {
        switch type {
        case .sdm(let reason): serviceCycles(of: reason)
        case .svm(let code): serviceCycles(of: code)
        }
    }

    package func canOccur(_ type: ExitType) -> Bool {
        switch type {
        case .sdm(let reason): return Self.types >> UInt128(reason.rawValue) & 1 == 1
        case .svm(let code):
            for index in 0..<ExitKind.count where ExitKind(rawValue: index)?.svmExitCode == code { return true }
            return false
        }
    }

    /// The types under which some kind of exit is booked, a bit each. The SDM defines more of them.
    private static let types: UInt128 = ExitKind.allCases.reduce(0) { mask, kind in
        // Types end at 85, so the shift keeps inside 128 bits.
        kind.basicExitReason.map { mask | 1 << UInt128($0.rawValue) } ?? mask
    }
}

/// The source `total`: KVM's own count stands for the total, and everything else is the run loop's.
package final class KernelTotalSource: CounterSource {
    private let counters: ExitCounterTable
    package let kernelExits: KernelExits

    package init(_ counters: ExitCounterTable, _ kernelExits: KernelExits) {
        self.counters = counters
        self.kernelExits = kernelExits
    }

    package var totalExits: UInt64 { kernelExits.total }
    package var totalCycles: UInt64 { counters.totalCycles }

    package func exits(of type: ExitType) -> UInt64 { counters.exits(of: type) }
    package func cycles(of type: ExitType) -> UInt64 { counters.cycles(of: type) }
    package func canOccur(_ type: ExitType) -> Bool { counters.canOccur(type) }
}

/// KVM's own count of the exits of a machine's vCPUs, as the statistic `exits` has it, at the cost of one pread(2) a vCPU.
///
/// Any thread may read.
public final class KernelExits: Sendable {
    /// A vCPU's statistics, and where its `exits` stands in them.
    private struct Counter: Sendable {
        let file: KernelStatisticsFile
        let offset: Int64
    }

    private let counters: [Counter]

    /// Finds the counts of vCPUs that do not run yet.
    ///
    /// - Returns: nil where KVM has no such statistic (before Linux 5.14).
    /// - Throws: `KVMError` when the statistics cannot be read, or do not make sense.
    package init?(of vcpus: [VCPU]) throws(KVMError) {
        var counters: [Counter] = []
        for vcpu in vcpus {
            guard let file = try vcpu.openKernelStatistics(), let offset = try file.offset(of: "exits") else {
                return nil
            }
            counters.append(Counter(file: file, offset: offset))
        }
        self.counters = counters
    }

    /// The exits of all vCPUs so far: those that reached MiniVMM, and those that KVM settled alone. Modulo 2^64.
    public var total: UInt64 {
        var sum: UInt64 = 0
        for counter in counters { sum &+= counter.file.number(at: counter.offset) ?? 0 }
        return sum
    }
}
