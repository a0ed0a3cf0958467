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
    private let indices: [[Int]]
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
        var indices = [[Int]](repeating: [], count: Int(BasicExitReason.maximum) + 1)
        for (index, reason) in reasons.enumerated() {
            if let reason { indices[Int(reason.rawValue)].append(index) }
        }
        self.indices = indices
        var codeIndices = [[Int]](repeating: [], count: Int(SVMExitCode.maximum) + 1)
        for (index, code) in HardwareExits.svmExitCodes(of: tracepoints.processorExtension).enumerated() {
            if let code { codeIndices[Int(code.rawValue)].append(index) }
        }
        self.codeIndices = codeIndices
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

    package func exits(of type: BasicExitReason) -> UInt64 {
        let own = counters.exits(of: type) &- (type == .cpuid ? faults : 0)
        return own &+ sum(indices[Int(type.rawValue)]) { $0.settled }
    }

    package func cycles(of type: BasicExitReason) -> UInt64 {
        counters.cycles(of: type) &+ cycles(sum(indices[Int(type.rawValue)]) { $0.nanosecondsKernel })
    }

    package func canOccur(_ type: BasicExitReason) -> Bool {
        !indices[Int(type.rawValue)].isEmpty || counters.canOccur(type)
    }

    /// The CPUIDs that KVM has raised #GP for, so that they came out: counted by the tracepoints and by the run loop.
    private var faults: UInt64 { trapsByFault ? counters.exits(of: BasicExitReason.cpuid) : 0 }

    /// The processor's exits so far, passed on or not, as the tracepoints count them.
    package var hardwareExits: UInt64 { sum(0..<ExitReasonIndex.count) { $0.count } }

    package func exits(of code: SVMExitCode) -> UInt64 {
        let own = counters.exits(of: code) &- (code == .cpuid ? faults : 0)
        return own &+ sum(codeIndices[Int(code.rawValue)]) { $0.settled }
    }

    package func cycles(of code: SVMExitCode) -> UInt64 {
        counters.cycles(of: code) &+ cycles(sum(codeIndices[Int(code.rawValue)]) { $0.nanosecondsKernel })
    }

    package func canOccur(_ code: SVMExitCode) -> Bool {
        !codeIndices[Int(code.rawValue)].isEmpty || counters.canOccur(code)
    }

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
    package func kernelSettledExits() -> KernelSettledExits? { settled(places) }

    package func settledSoFar() -> KernelSettledExits? { settled(nil) }

    private func settled(_ places: KernelExitPlaces?) -> KernelSettledExits {
        let vcpus = (0..<tracepoints.threadCount).map { rows(ofThreads: $0...$0) }
        return KernelSettledExits(
            isSVM: tracepoints.processorExtension == .svm, rows: rows(ofThreads: 0...(tracepoints.threadCount - 1)),
            vcpus: vcpus, kernelCount: kernelExits?.total, cyclesPerNanosecond: Double(tscKHz) / 1_000_000,
            places: places)
    }

    private var places: KernelExitPlaces? {
        guard tracepoints.keepsPlaces else { return nil }
        let lost = threads.withLock { $0 }.values.reduce(UInt64(0)) { $0 &+ tracepoints.lostPlaces(ofThread: $1) }
        let places = tracepoints.takePlaces().map { place in
            KernelExitPlaces.Place(place, reason: reasons.indices.contains(place.reason) ? reasons[place.reason] : nil)
        }
        return KernelExitPlaces(places: places, lostExits: lost)
    }

    package func settledCounts() -> SettledCounts? {
        var counts = SettledCounts()
        for thread in 0..<tracepoints.threadCount {
            // As `rows` has it: what the trap by fault carried out is the run loop's.
            var carried = trapsByFault ? counters.counters(of: thread).exits(of: ExitKind.cpuid) : 0
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
        }
        return counts
    }

    private func rows(ofThreads threads: ClosedRange<Int>) -> [KernelSettledExits.Row] {
        (0..<ExitReasonIndex.count).compactMap { index in
            var row = KernelSettledExits.Row(code: HardwareExits.code(index), reason: reasons[index])
            for thread in threads where tracepoints.count(thread: thread, reason: index) > 0 {
                row.add(
                    tracepoints.slot(thread: thread, reason: index),
                    tracepoints.histogram(thread: thread, reason: index))
                if row.reason == .cpuid, trapsByFault {
                    row.carry(counters.counters(of: thread).exits(of: ExitKind.cpuid))
                }
            }
            return row.hardwareExits == 0 ? nil : row
        }
    }
}

extension ExitSlot {
    /// Exits that KVM did not pass on. The programs count an exit before they learn that it is passed on, so that a read
    /// in between finds it here; never fewer than none.
    fileprivate var settled: UInt64 { count >= user ? count &- user : 0 }
}
