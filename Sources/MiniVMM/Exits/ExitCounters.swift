import CKVM
import Histogram
import Synchronization

/// The exit counters of one vCPU: a view of its block in an ``ExitCounterTable``, which must outlive it.
///
/// What counts as an exit of the guest, and what is MiniVMM's own doing, is decided by the run loop: it calls
/// ``begin(_:)`` and ``finish(_:serviceCycles:)`` for the one, ``bookInternal(cycles:)`` for the other.
struct ExitCounters {
    /// Where in a block a number stands, in words.
    private enum Word {
        static let runCycles = 0
        static let internalExits = 1
        static let internalCycles = 2
        static let kinds = 8
    }

    /// The words of a kind: exits, cycles, greatest cycles.
    private static let wordsPerKind = 3
    static let kindCount = ExitKind.allCases.count
    /// The words of a block, rounded up to a multiple of 16, which is two cache lines.
    static let blockStride = (Word.kinds + kindCount * wordsPerKind + 15) / 16 * 16

    /// A histogram by its address, so that whether there is one is a comparison: asking an optional histogram copies it.
    typealias HistogramPointer = UnsafeMutablePointer<Histogram<UInt64>>

    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let histograms: UnsafeMutablePointer<HistogramPointer?>

    init(words: UnsafeMutablePointer<Atomic<UInt64>>, histograms: UnsafeMutablePointer<HistogramPointer?>) {
        self.words = words
        self.histograms = histograms
    }

    // MARK: Writing, on the vCPU's thread

    /// Counts an exit, before it is serviced, so that a guest that asks is told of the exit that carries the question.
    @inline(__always)
    func begin(_ kind: ExitKind) {
        add(1, to: Self.word(kind, 0))
    }

    /// Books the service time of an exit that was counted.
    ///
    /// - Returns: The cycles that it took to make the kind's histogram, at the kind's first exit; else 0. They are
    ///   booked as MiniVMM's own, so that the first exits are not the slowest.
    @inline(__always)
    @discardableResult
    func finish(_ kind: ExitKind, serviceCycles: UInt64) -> UInt64 {
        add(serviceCycles, to: Self.word(kind, 1))
        let greatest = Self.word(kind, 2)
        if serviceCycles > load(greatest) { words[greatest].store(serviceCycles, ordering: .relaxed) }
        // Sound: a block has one histogram per kind, and rawValue is the kind's number.
        guard let histogram = histograms[kind.rawValue] else { return makeHistogram(kind, recording: serviceCycles) }
        // A longer time than the histogram tracks (hours) is left out of it, and is in every other number.
        histogram.pointee.record(serviceCycles)
        return 0
    }

    /// Books time spent in KVM_RUN.
    @inline(__always)
    func bookRun(cycles: UInt64) {
        add(cycles, to: Word.runCycles)
    }

    /// Books an exit that MiniVMM caused itself, and what it cost.
    func bookInternal(cycles: UInt64) {
        add(1, to: Word.internalExits)
        add(cycles, to: Word.internalCycles)
    }

    /// Books time that MiniVMM took for its own records, and that is no exit's.
    func bookOwn(cycles: UInt64) {
        add(cycles, to: Word.internalCycles)
    }

    /// Makes a kind's histogram, with its first service time in it: once a vCPU and kind.
    ///
    /// - Returns: The cycles that this took.
    @inline(never)
    private func makeHistogram(_ kind: ExitKind, recording serviceCycles: UInt64) -> UInt64 {
        let start = ckvm_rdtsc()
        let histogram = HistogramPointer.allocate(capacity: 1)
        // Two significant digits, up to 2^42 cycles: about half an hour.
        histogram.initialize(to: Histogram(highestTrackableValue: 1 << 42, numberOfSignificantValueDigits: .two))
        histogram.pointee.record(serviceCycles)
        // Sound: as for finish. The table releases it.
        histograms[kind.rawValue] = histogram
        let cycles = ckvm_rdtsc() &- start
        add(cycles, to: Word.internalCycles)
        return cycles
    }

    /// Adds to a number that no other thread writes, modulo 2^64.
    @inline(__always)
    private func add(_ value: UInt64, to word: Int) {
        words[word].store(load(word) &+ value, ordering: .relaxed)
    }

    // MARK: Reading, on any thread

    @inline(__always)
    private func load(_ word: Int) -> UInt64 {
        words[word].load(ordering: .relaxed)
    }

    @inline(__always)
    private static func word(_ kind: ExitKind, _ offset: Int) -> Int {
        Word.kinds &+ kind.rawValue &* wordsPerKind &+ offset
    }

    func exits(of kind: ExitKind) -> UInt64 { load(Self.word(kind, 0)) }
    func serviceCycles(of kind: ExitKind) -> UInt64 { load(Self.word(kind, 1)) }
    func greatestServiceCycles(of kind: ExitKind) -> UInt64 { load(Self.word(kind, 2)) }
    var runCycles: UInt64 { load(Word.runCycles) }
    var internalExits: UInt64 { load(Word.internalExits) }
    var internalCycles: UInt64 { load(Word.internalCycles) }

    var totalExits: UInt64 { sum { counters, kind in counters.exits(of: kind) } }
    var totalServiceCycles: UInt64 { sum { counters, kind in counters.serviceCycles(of: kind) } }

    /// The sum of a number over all kinds, or over those booked under a basic exit reason, modulo 2^64.
    @inline(__always)
    func sum(
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

    /// The histogram of a kind's service times, or nil when there was no such exit. Only when the vCPU is stopped.
    func histogram(of kind: ExitKind) -> Histogram<UInt64>? {
        histograms[kind.rawValue]?.pointee
    }
}
