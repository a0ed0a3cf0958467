package import Tracepoints

/// The exits of a run that KVM settled itself, by the processor's reason.
public struct KernelSettledExits: Hashable, Sendable {
    /// The exits for one of the processor's reasons, of all vCPUs. Times in nanoseconds.
    public struct Row: Hashable, Sendable {
        /// The processor's own number: a VMX reason or an SVM exit code; nil for all that has no place of its own.
        public let code: UInt32?
        /// The SDM's number for it, if there is one.
        public let reason: BasicExitReason?
        /// Exits for this reason, those that were passed on to MiniVMM included.
        public private(set) var hardwareExits: UInt64 = 0
        /// Exits that KVM settled.
        public private(set) var exits: UInt64 = 0
        /// Exits that KVM settled by raising the fault that brought them out to MiniVMM: CPUIDs of programs, where CPUID
        /// faulting traps them. They are in MiniVMM's counts, and not in ``exits``.
        public private(set) var carriedExits: UInt64 = 0
        /// Exits that KVM passed on to user space.
        package private(set) var passedOnExits: UInt64 = 0
        /// What KVM took for them, sleep taken off.
        public private(set) var nanoseconds: UInt64 = 0
        /// What it took for those that it passed on.
        public private(set) var passedOnNanoseconds: UInt64 = 0
        /// What the vCPUs slept in them.
        public private(set) var haltedNanoseconds: UInt64 = 0
        /// From KVM_RUN's returns in between to the entries after them: what the VMM took, and all that it waited.
        public private(set) var userNanoseconds: UInt64 = 0
        /// The longest.
        public private(set) var maximum: UInt64 = 0
        /// How many took from 2^n up to 2^(n+1) nanoseconds.
        public private(set) var histogram = [UInt64](repeating: 0, count: ExitSlot.bucketCount)

        init(code: UInt32?, reason: BasicExitReason?) {
            self.code = code
            self.reason = reason
        }

        mutating func add(_ slot: ExitSlot, _ histogram: [UInt64]) {
            hardwareExits &+= slot.count
            exits &+= slot.settled
            passedOnExits &+= slot.user
            nanoseconds &+= slot.nanosecondsKernel
            passedOnNanoseconds &+= slot.nanosecondsToUser
            haltedNanoseconds &+= slot.nanosecondsHalted
            let inside = slot.nanosecondsKernel &+ slot.nanosecondsToUser &+ slot.nanosecondsHalted
            userNanoseconds &+= slot.nanoseconds >= inside ? slot.nanoseconds &- inside : 0
            maximum = max(maximum, slot.maximum)
            for (bucket, count) in histogram.enumerated() { self.histogram[bucket] &+= count }
        }

        /// Adds the exits for another reason.
        fileprivate mutating func add(_ other: Row) {
            hardwareExits &+= other.hardwareExits
            exits &+= other.exits
            carriedExits &+= other.carriedExits
            passedOnExits &+= other.passedOnExits
            nanoseconds &+= other.nanoseconds
            passedOnNanoseconds &+= other.passedOnNanoseconds
            haltedNanoseconds &+= other.haltedNanoseconds
            userNanoseconds &+= other.userNanoseconds
            maximum = max(maximum, other.maximum)
            for (bucket, count) in other.histogram.enumerated() { histogram[bucket] &+= count }
        }

        /// Leaves out of ``exits`` those in progress, of which nobody knows yet whether KVM will settle them. So no number
        /// ever falls.
        mutating func leaveOutUnfinished() { exits = histogram.reduce(0, &+) }

        /// The difference to an earlier row for the same reason. Its maximum is that of all exits so far.
        fileprivate func since(_ earlier: Row) -> Row {
            var row = self
            // The programs count while the numbers are read, one after the other: a difference may be a little off, and
            // is never below 0.
            func difference(_ number: KeyPath<Row, UInt64>) -> UInt64 {
                let (now, before) = (self[keyPath: number], earlier[keyPath: number])
                return now > before ? now &- before : 0
            }
            row.hardwareExits = difference(\.hardwareExits)
            row.exits = difference(\.exits)
            row.carriedExits = difference(\.carriedExits)
            row.passedOnExits = difference(\.passedOnExits)
            row.nanoseconds = difference(\.nanoseconds)
            row.passedOnNanoseconds = difference(\.passedOnNanoseconds)
            row.haltedNanoseconds = difference(\.haltedNanoseconds)
            row.userNanoseconds = difference(\.userNanoseconds)
            for (bucket, count) in earlier.histogram.enumerated() { row.histogram[bucket] &-= count }
            return row
        }

        /// Whether nothing came to it.
        fileprivate var isEmpty: Bool {
            hardwareExits == 0 && exits == 0 && passedOnExits == 0 && nanoseconds == 0 && passedOnNanoseconds == 0
                && userNanoseconds == 0 && haltedNanoseconds == 0
        }

        /// The rows of each of the SDM's reasons in one, without the processor's number where there were several. Rows
        /// that have none stay as they are.
        package static func byReason(_ rows: [Row]) -> [Row] {
            var merged: [Row] = []
            for row in rows {
                guard let reason = row.reason, let index = merged.firstIndex(where: { $0.reason == reason }) else {
                    merged.append(row)
                    continue
                }
                var sum = Row(code: nil, reason: reason)
                sum.add(merged[index])
                sum.add(row)
                merged[index] = sum
            }
            return merged
        }

        /// Takes exits out of ``exits`` that MiniVMM has counted.
        mutating func carry(_ count: UInt64) {
            let count = min(count, exits)
            carriedExits &+= count
            exits &-= count
        }

        /// The upper end of the bucket in which the given share of the exits lies, at most the maximum.
        ///
        /// - Parameter share: From 0 to 1.
        public func quantile(_ share: Double) -> UInt64 {
            ExitPlaces.quantile(share, of: histogram, atMost: maximum)
        }
    }

    /// Whether the processor's numbers are SVM's exit codes; else they are VMX's basic exit reasons.
    public let isSVM: Bool
    /// The reasons for which there were exits, in the order of the processor's numbers: sums over all vCPUs.
    public let rows: [Row]
    /// The same for each vCPU.
    public let vcpus: [[Row]]
    /// KVM's own count of all exits, where it has one: a check of ``hardwareExits``.
    public let kernelCount: UInt64?
    /// Cycles of the time-stamp counter in a nanosecond.
    public let cyclesPerNanosecond: Double

    /// Exits of the processor, passed on or not.
    public var hardwareExits: UInt64 { rows.reduce(0) { $0 &+ $1.hardwareExits } }
    /// Exits that KVM settled.
    public var exits: UInt64 { rows.reduce(0) { $0 &+ $1.exits } }
    /// What KVM took for them, in nanoseconds.
    public var nanoseconds: UInt64 { rows.reduce(0) { $0 &+ $1.nanoseconds } }
    /// What the vCPUs slept, in nanoseconds.
    public var haltedNanoseconds: UInt64 { rows.reduce(0) { $0 &+ $1.haltedNanoseconds } }

    package init(
        isSVM: Bool, rows: [Row], vcpus: [[Row]], kernelCount: UInt64?, cyclesPerNanosecond: Double
    ) {
        self.isSVM = isSVM
        self.rows = rows
        self.vcpus = vcpus
        self.kernelCount = kernelCount
        self.cyclesPerNanosecond = cyclesPerNanosecond
    }
}

extension KernelSettledExits {
    /// What the tracepoints have counted so far. Each of their threads is a vCPU.
    ///
    /// - Parameters:
    ///   - tracepoints: The counts.
    ///   - kernelCount: KVM's own count of all exits.
    ///   - cyclesPerNanosecond: The frequency of the time-stamp counter.
    ///   - adjust: What is done with a vCPU's row before it is added up.
    init(
        of tracepoints: ExitTracepoints, kernelCount: UInt64? = nil, cyclesPerNanosecond: Double = 1,
        adjust: (inout Row, _ vcpu: Int) -> Void
    ) {
        let reasons = HardwareExits.reasons(of: tracepoints.processorExtension)
        var sums = reasons.enumerated().map { Row(code: HardwareExits.code($0.offset), reason: $0.element) }
        var vcpus: [[Row]] = []
        for thread in 0..<tracepoints.threadCount {
            var rows: [Row] = []
            for index in reasons.indices where tracepoints.count(thread: thread, reason: index) > 0 {
                var row = Row(code: HardwareExits.code(index), reason: reasons[index])
                row.add(
                    tracepoints.slot(thread: thread, reason: index),
                    tracepoints.histogram(thread: thread, reason: index))
                adjust(&row, thread)
                rows.append(row)
                sums[index].add(row)
            }
            vcpus.append(rows)
        }
        self.init(
            isSVM: tracepoints.processorExtension == .svm, rows: sums.filter { $0.hardwareExits > 0 }, vcpus: vcpus,
            kernelCount: kernelCount, cyclesPerNanosecond: cyclesPerNanosecond)
    }

    /// What was counted so far of another process. Exits in progress are in ``Row/hardwareExits`` alone.
    package init(of tracepoints: ExitTracepoints) {
        self.init(of: tracepoints) { row, _ in row.leaveOutUnfinished() }
    }

    /// The rows of a vCPU, none if it has none; of all together for nil.
    package func rows(ofVCPU vcpu: Int?) -> [Row] {
        guard let vcpu else { return rows }
        return vcpus.indices.contains(vcpu) ? vcpus[vcpu] : []
    }

    /// What came since an earlier moment of the same watch: sums over all vCPUs alone. Their maximums are those of all
    /// exits so far.
    package func since(_ earlier: KernelSettledExits) -> KernelSettledExits {
        let rows = rows.map { row in
            earlier.rows.first { $0.code == row.code && $0.reason == row.reason }.map { row.since($0) } ?? row
        }
        return KernelSettledExits(
            isSVM: isSVM, rows: rows.filter { !$0.isEmpty }, vcpus: [], kernelCount: nil,
            cyclesPerNanosecond: cyclesPerNanosecond)
    }
}
