import CKVM
public import Histogram
public import Synchronization

/// The exit counters of all vCPUs of a machine.
///
/// Each vCPU has a block of its own, on cache lines of its own, which only its thread writes; any thread may read.
/// Numbers are read and written with relaxed atomics: a reader sees some recent value of each, and exact ones when the
/// vCPU is stopped.
// Safe to use: the words and histograms are allocated with the table, released with it, and reached by checked
// numbers only.
@safe
public final class ExitCounterTable: Sendable {
    /// The number of vCPUs.
    public let vcpuCount: Int

    /// Sound to share between threads: the pointer never changes, and what it points to is atomic.
    @usableFromInline nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>
    /// One histogram of service times a vCPU and kind, from its first exit on.
    ///
    /// Sound to share between threads: only a vCPU's own thread touches its histograms while it runs, and others after
    /// that thread was joined.
    @usableFromInline nonisolated(unsafe) let histograms: UnsafeMutablePointer<ExitCounters.HistogramPointer?>

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
        unsafe words = unsafe memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { unsafe (words + index).initialize(to: Atomic(0)) }
        unsafe histograms = .allocate(capacity: vcpuCount * ExitCounters.kindCount)
        unsafe histograms.initialize(repeating: nil, count: vcpuCount * ExitCounters.kindCount)
    }

    deinit {
        unsafe words.deinitialize(count: wordCount)
        unsafe UnsafeMutableRawPointer(words).deallocate()
        for index in 0..<histogramCount {
            // Sound: a pointer that is there was made by ExitCounters and is owned by this table alone.
            unsafe histograms[index]?.deinitialize(count: 1)
            unsafe histograms[index]?.deallocate()
        }
        unsafe histograms.deallocate()
    }

    /// The counters of one vCPU. The table must outlive them.
    @inlinable
    package func counters(of vcpu: Int) -> ExitCounters {
        precondition(vcpu >= 0 && vcpu < vcpuCount)
        // Sound: the index was just checked, and each block has blockStride words and kindCount histograms.
        return unsafe ExitCounters(
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

    /// Exits of the kinds that are booked under an SVM exit code.
    public func exits(of code: SVMExitCode) -> UInt64 {
        sum { $0.sum(over: code) { counters, kind in counters.exits(of: kind) } }
    }

    /// Service time, in cycles, of the finished exits of the kinds that are booked under an SVM exit code.
    public func serviceCycles(of code: SVMExitCode) -> UInt64 {
        sum { $0.sum(over: code) { counters, kind in counters.serviceCycles(of: kind) } }
    }
}

/// The exit counters of one vCPU: a view of its block in an ``ExitCounterTable``, which must outlive it.
///
/// What counts as an exit of the guest, and what is MiniVMM's own doing, is decided by the run loop: it calls
/// ``begin(_:)`` and ``finish(_:serviceCycles:)`` for the one, ``bookInternal(cycles:)`` for the other.
@usableFromInline
// Safe to use: every offset is made of a kind, of which there are as many as a block has room for.
@safe
package struct ExitCounters {
    /// Where in a block a number stands, in words.
    @usableFromInline
    enum Word {
        @inlinable static var runCycles: Int { 0 }
        @inlinable static var internalExits: Int { 1 }
        @inlinable static var internalCycles: Int { 2 }
        @inlinable static var kinds: Int { 8 }
    }

    /// The words of a kind: exits, cycles, maximum cycles.
    @inlinable static var wordsPerKind: Int { 3 }
    @inlinable package static var kindCount: Int { ExitKind.count }
    /// The words of a block, rounded up to a multiple of 16, which is two cache lines.
    @inlinable static var blockStride: Int { (Word.kinds + kindCount * wordsPerKind + 15) / 16 * 16 }

    /// A histogram by its address, so that whether there is one is a comparison: asking an optional histogram copies it.
    @usableFromInline package typealias HistogramPointer = UnsafeMutablePointer<Histogram<UInt64>>

    @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline let histograms: UnsafeMutablePointer<HistogramPointer?>

    @inlinable
    package init(words: UnsafeMutablePointer<Atomic<UInt64>>, histograms: UnsafeMutablePointer<HistogramPointer?>) {
        unsafe self.words = unsafe words
        unsafe self.histograms = unsafe histograms
    }

    // MARK: Writing, on the vCPU's thread

    /// Counts an exit, before it is serviced, so that a guest that asks is told of the exit that carries the question.
    @inlinable
    @inline(__always)
    package func begin(_ kind: ExitKind) {
        add(1, to: Self.word(kind, 0))
    }

    /// Books the service time of an exit that was counted.
    ///
    /// - Returns: The cycles that it took to make the kind's histogram, at the kind's first exit; else 0. They are
    ///   booked as MiniVMM's own, so that the first exits are not the slowest.
    @inlinable
    @inline(__always)
    @discardableResult
    package func finish(_ kind: ExitKind, serviceCycles: UInt64) -> UInt64 {
        add(serviceCycles, to: Self.word(kind, 1))
        let maximum = Self.word(kind, 2)
        if serviceCycles > load(maximum) { unsafe words[maximum].store(serviceCycles, ordering: .relaxed) }
        // Sound: a block has one histogram per kind, and rawValue is the kind's number.
        guard let histogram = unsafe histograms[kind.index] else {
            return makeHistogram(kind, recording: serviceCycles)
        }
        // A longer time than the histogram tracks (hours) is left out of it, and is in every other number.
        unsafe histogram.pointee.record(serviceCycles)
        return 0
    }

    /// Books time spent in KVM_RUN.
    @inlinable
    @inline(__always)
    package func bookRun(cycles: UInt64) {
        add(cycles, to: Word.runCycles)
    }

    /// Books an exit that MiniVMM caused itself, and what it cost.
    @inlinable package func bookInternal(cycles: UInt64) {
        add(1, to: Word.internalExits)
        add(cycles, to: Word.internalCycles)
    }

    /// Books time that MiniVMM took for its own records, and that is no exit's.
    @inlinable package func bookOwn(cycles: UInt64) {
        add(cycles, to: Word.internalCycles)
    }

    /// Makes a kind's histogram, with its first service time in it: once a vCPU and kind.
    ///
    /// - Returns: The cycles that this took.
    @inline(never)
    @usableFromInline
    func makeHistogram(_ kind: ExitKind, recording serviceCycles: UInt64) -> UInt64 {
        let start = ckvm_rdtsc()
        let histogram = HistogramPointer.allocate(capacity: 1)
        // Two significant digits, up to 2^42 cycles: about half an hour.
        unsafe histogram.initialize(to: Histogram(highestTrackableValue: 1 << 42, numberOfSignificantValueDigits: .two))
        unsafe histogram.pointee.record(serviceCycles)
        // Sound: as for finish. The table releases it.
        unsafe histograms[kind.index] = unsafe histogram
        let cycles = ckvm_rdtsc() &- start
        add(cycles, to: Word.internalCycles)
        return cycles
    }

    /// Adds to a number that no other thread writes, modulo 2^64.
    @inlinable
    @inline(__always)
    func add(_ value: UInt64, to word: Int) {
        unsafe words[word].store(load(word) &+ value, ordering: .relaxed)
    }

    // MARK: Reading, on any thread

    @inlinable
    @inline(__always)
    func load(_ word: Int) -> UInt64 {
        unsafe words[word].load(ordering: .relaxed)
    }

    @inlinable
    @inline(__always)
    static func word(_ kind: ExitKind, _ offset: Int) -> Int {
        Word.kinds &+ kind.index &* wordsPerKind &+ offset
    }

    @inlinable package func exits(of kind: ExitKind) -> UInt64 { load(Self.word(kind, 0)) }
    @inlinable package func serviceCycles(of kind: ExitKind) -> UInt64 { load(Self.word(kind, 1)) }
    @inlinable func maximumServiceCycles(of kind: ExitKind) -> UInt64 { load(Self.word(kind, 2)) }
    @inlinable package var runCycles: UInt64 { load(Word.runCycles) }
    @inlinable package var internalExits: UInt64 { load(Word.internalExits) }
    @inlinable package var internalCycles: UInt64 { load(Word.internalCycles) }

    var totalExits: UInt64 { sum { counters, kind in counters.exits(of: kind) } }
    var totalServiceCycles: UInt64 { sum { counters, kind in counters.serviceCycles(of: kind) } }

    /// The sum of a number over all kinds, or over those booked under a basic exit reason, modulo 2^64.
    @inlinable
    @inline(__always)
    package func sum(
        over reason: BasicExitReason? = nil, _ number: (ExitCounters, ExitKind) -> UInt64
    ) -> UInt64 {
        var sum: UInt64 = 0
        for index in 0..<Self.kindCount {
            guard let kind = ExitKind(rawValue: index) else { continue }
            if let reason, kind.basicExitReason != reason { continue }
            sum &+= number(self, kind)
        }
        return sum
    }

    /// The sum of a number over the kinds that are booked under an SVM exit code, modulo 2^64.
    func sum(over code: SVMExitCode, _ number: (ExitCounters, ExitKind) -> UInt64) -> UInt64 {
        sum { counters, kind in kind.svmExitCode == code ? number(counters, kind) : 0 }
    }

    /// The histogram of a kind's service times, or nil when there was no such exit. Only when the vCPU is stopped.
    package func histogram(of kind: ExitKind) -> Histogram<UInt64>? {
        unsafe histograms[kind.index]?.pointee
    }
}
