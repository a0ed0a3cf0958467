import Host
import KVM
package import Tracepoints

/// The source `all`: every exit by reason. What KVM settles itself comes from its tracepoints, what reaches MiniVMM from
/// the run loop.
///
/// A number is the sum of both. An exit that KVM passes on is in the run loop's alone, under what the run loop found it
/// to be: a trapped CPUID is a CPUID, whatever carried it out; a single step is no exit of the guest's.
package final class AllExitsSource: CounterSource {
    private let counters: ExitCounterTable
    let tracepoints: ExitTracepoints
    /// KVM's own count, as a check; nil where KVM has no statistics.
    package let kernelExits: KernelExits?
    /// The SDM's reason for each index.
    let reasons: [BasicExitReason?]
    /// The indices of each of the SDM's reasons.
    private let reasonIndices: [[Int]]
    /// The indices of each of SVM's exit codes.
    private let codeIndices: [[Int]]
    /// Cycles of the time-stamp counter in a million nanoseconds.
    private let tscKHz: UInt64
    /// The thread of each vCPU, as gettid(2) has it, once there is one.
    let threads = Locked<[Int: Int32]>([:])
    /// Whether a program's CPUID comes out by the fault that KVM answers it with.
    private let trapsByFault: Bool

    /// - Parameters:
    ///   - counters: The run loop's counters.
    ///   - tracepoints: With a place for each vCPU.
    ///   - kernelExits: KVM's own count, where it has one.
    ///   - tscKHz: The frequency of the time-stamp counter; nil where it is not known: then a nanosecond is a cycle.
    ///   - trapsByFault: Whether CPUID is trapped by CPUID faulting. Each trapped CPUID has then been an exit that KVM
    ///     settled, by raising #GP, before the one that carried it out. It counts once, as the run loop's.
    package init(
        _ counters: ExitCounterTable, _ tracepoints: ExitTracepoints, _ kernelExits: KernelExits?, tscKHz: UInt32?,
        trapsByFault: Bool
    ) {
        self.counters = counters
        self.tracepoints = tracepoints
        self.kernelExits = kernelExits
        self.tscKHz = UInt64(tscKHz ?? 1_000_000)
        self.trapsByFault = trapsByFault
        reasons = HardwareExits.reasons(of: tracepoints.processorExtension)
        let codes = HardwareExits.svmExitCodes(of: tracepoints.processorExtension)
        reasonIndices = Self.indices(byNumber: reasons.map { $0?.rawValue }, upTo: BasicExitReason.maximum)
        codeIndices = Self.indices(byNumber: codes.map { $0?.rawValue }, upTo: SVMExitCode.maximum)
    }

    /// The places at which each number stands in a list.
    private static func indices(byNumber numbers: [UInt32?], upTo maximum: UInt32) -> [[Int]] {
        var indices = [[Int]](repeating: [], count: Int(maximum) + 1)
        for (index, number) in numbers.enumerated() {
            if let number { indices[Int(number)].append(index) }
        }
        return indices
    }

    package func prepareThread(ofVCPU index: Int, thread: Int32) throws(TracepointError) {
        try tracepoints.add(thread: thread, as: index)
        threads.withLock { $0[index] = thread }
    }

    package var totalExits: UInt64 {
        let own = counters.totalExits &- faults
        return own &+ sum(0..<ExitReasonIndex.count) { $0.settled }
    }

    package var totalCycles: UInt64 {
        counters.totalCycles &+ cycles(sum(0..<ExitReasonIndex.count) { $0.nanosecondsKernel })
    }

    package func exits(of type: ExitType) -> UInt64 {
        let own = counters.exits(of: type) &- (type.isCPUID ? faults : 0)
        return own &+ sum(indices(of: type)) { $0.settled }
    }

    package func cycles(of type: ExitType) -> UInt64 {
        counters.cycles(of: type) &+ cycles(sum(indices(of: type)) { $0.nanosecondsKernel })
    }

    package func canOccur(_ type: ExitType) -> Bool {
        !indices(of: type).isEmpty || counters.canOccur(type)
    }

    /// The indices of ``ExitReasonIndex`` that count to a type.
    private func indices(of type: ExitType) -> [Int] {
        switch type {
        case .sdm(let reason): reasonIndices[Int(reason.rawValue)]
        case .svm(let code): codeIndices[Int(code.rawValue)]
        }
    }

    /// The CPUIDs that KVM has raised #GP for, so that they came out: counted by the tracepoints and by the run loop.
    private var faults: UInt64 { trapsByFault ? counters.exits(of: BasicExitReason.cpuid) : 0 }

    /// The same of one vCPU.
    private func faults(ofVCPU index: Int) -> UInt64 {
        trapsByFault ? counters.counters(of: index).exits(of: ExitKind.cpuid) : 0
    }

    /// The processor's exits so far, passed on or not, as the tracepoints count them.
    package var hardwareExits: UInt64 { sum(0..<ExitReasonIndex.count) { $0.count } }

    /// A sum over all vCPUs.
    private func sum(_ indices: some Collection<Int>, _ number: (borrowing ExitSlot) -> UInt64) -> UInt64 {
        var sum: UInt64 = 0
        for thread in 0..<tracepoints.threadCount {
            for index in indices { sum &+= number(tracepoints.slot(thread: thread, reason: index)) }
        }
        return sum
    }

    /// Nanoseconds in cycles: exact, and without overflow.
    private func cycles(_ nanoseconds: UInt64) -> UInt64 {
        let (high, low) = nanoseconds.multipliedFullWidth(by: tscKHz)
        guard high < Self.nanosecondsPerMillisecond else { return .max }
        return Self.nanosecondsPerMillisecond.dividingFullWidth((high, low)).quotient
    }

    private static let nanosecondsPerMillisecond: UInt64 = 1_000_000
}

extension AllExitsSource {
    package func kernelSettledExits() -> KernelSettledExits? {
        KernelSettledExits(
            of: tracepoints, kernelCount: kernelExits?.total, cyclesPerNanosecond: Double(tscKHz) / 1_000_000
        ) { row, vcpu in
            if row.reason == .cpuid { row.carry(faults(ofVCPU: vcpu)) }
        }
    }

    package func kernelPlaces() -> (places: [ExitPlaces.Place], lostExits: UInt64)? {
        guard tracepoints.keepsPlaces else { return nil }
        let lost = threads.withLock { $0 }.values.reduce(UInt64(0)) { $0 &+ tracepoints.lostPlaces(ofThread: $1) }
        let places = tracepoints.takePlaces().map { place in
            ExitPlaces.Place(place, reason: reasons.indices.contains(place.reason) ? reasons[place.reason] : nil)
        }
        return (places, lost)
    }

    package func settledCounts() -> [SettledCounts]? {
        (0..<tracepoints.threadCount).map { thread in
            var counts = SettledCounts()
            // As in the rows: what the trap by fault carried out is the run loop's.
            var carried = faults(ofVCPU: thread)
            for (index, reason) in reasons.enumerated() {
                var settled = tracepoints.slot(thread: thread, reason: index).settled
                guard settled > 0 else { continue }
                if reason == .cpuid {
                    let taken = min(carried, settled)
                    carried &-= taken
                    settled &-= taken
                }
                counts.add(settled, of: reason)
            }
            return counts
        }
    }
}

extension ExitSlot {
    /// Exits that KVM did not pass on. The programs count an exit before they learn that it is passed on, so that a read
    /// in between finds it here; never fewer than none.
    var settled: UInt64 { count >= user ? count &- user : 0 }
}
