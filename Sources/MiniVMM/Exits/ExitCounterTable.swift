import Histogram
import Synchronization

/// The exit counters of all vCPUs of a machine.
///
/// Each vCPU has a block of its own, on cache lines of its own, which only its thread writes; any thread may read.
/// Numbers are read and written with relaxed atomics: a reader sees some recent value of each, and exact ones when the
/// vCPU is stopped.
public final class ExitCounterTable: Sendable {
    /// The number of vCPUs.
    public let vcpuCount: Int

    /// Sound to share between threads: the pointer never changes, and what it points to is atomic.
    private nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>
    /// One histogram of service times a vCPU and kind, from its first exit on.
    ///
    /// Sound to share between threads: only a vCPU's own thread touches its histograms while it runs, and others after
    /// that thread was joined.
    private nonisolated(unsafe) let histograms: UnsafeMutablePointer<ExitCounters.HistogramPointer?>

    private var wordCount: Int { vcpuCount * ExitCounters.blockStride }
    private var histogramCount: Int { vcpuCount * ExitCounters.kindCount }

    /// Two cache lines: processors fetch lines in pairs.
    private static let alignment = 128

    /// Counters at zero for a number of vCPUs.
    public init(vcpuCount: Int) {
        precondition(vcpuCount > 0)
        self.vcpuCount = vcpuCount
        let count = vcpuCount * ExitCounters.blockStride
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Atomic<UInt64>>.stride, alignment: Self.alignment)
        // Sound: the memory is as long as the words and aligned for them, and every word is initialized here.
        words = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { (words + index).initialize(to: Atomic(0)) }
        histograms = .allocate(capacity: vcpuCount * ExitCounters.kindCount)
        histograms.initialize(repeating: nil, count: vcpuCount * ExitCounters.kindCount)
    }

    deinit {
        words.deinitialize(count: wordCount)
        UnsafeMutableRawPointer(words).deallocate()
        for index in 0..<histogramCount {
            // Sound: a pointer that is there was made by ExitCounters and is owned by this table alone.
            histograms[index]?.deinitialize(count: 1)
            histograms[index]?.deallocate()
        }
        histograms.deallocate()
    }

    /// The counters of one vCPU. The table must outlive them.
    func counters(of vcpu: Int) -> ExitCounters {
        precondition(vcpu >= 0 && vcpu < vcpuCount)
        // Sound: the index was just checked, and each block has blockStride words and kindCount histograms.
        return ExitCounters(
            words: words + vcpu * ExitCounters.blockStride,
            histograms: histograms + vcpu * ExitCounters.kindCount
        )
    }

    /// The sum of a number over all vCPUs, modulo 2^64.
    @inline(__always)
    private func sum(_ number: (ExitCounters) -> UInt64) -> UInt64 {
        var sum: UInt64 = 0
        for vcpu in 0..<vcpuCount { sum &+= number(counters(of: vcpu)) }
        return sum
    }

    /// Exits of all kinds and all vCPUs.
    public var totalExits: UInt64 { sum { $0.totalExits } }

    /// Service time of all finished exits of all vCPUs, in cycles.
    public var totalServiceCycles: UInt64 { sum { $0.totalServiceCycles } }

    /// Exits of the kinds that are booked under a basic exit reason.
    public func exits(of reason: BasicExitReason) -> UInt64 {
        sum { $0.sum(over: reason) { counters, kind in counters.exits(of: kind) } }
    }

    /// Service time, in cycles, of the finished exits of the kinds that are booked under a basic exit reason.
    public func serviceCycles(of reason: BasicExitReason) -> UInt64 {
        sum { $0.sum(over: reason) { counters, kind in counters.serviceCycles(of: kind) } }
    }
}
