import CKVM
public import Host
public import Synchronization

/// The exit counters of all vCPUs of a machine.
///
/// Each vCPU has a block of its own, on cache lines of its own, which only its thread writes; any thread may read.
/// Numbers are read and written with relaxed atomics: a reader sees some recent value of each, and exact ones when the
/// vCPU is stopped.
// Safe to use: the words are mapped with the table, unmapped with it, and reached by checked numbers only.
@safe
public final class ExitCounterTable: Sendable {
    /// The number of vCPUs.
    public let vcpuCount: Int

    /// The numbers of all vCPUs, and behind them the buckets of their histograms. Pages of it that are never touched
    /// take no memory: those of the kinds that a guest does not cause, and of the times that do not occur.
    private let mapping: MemoryMapping

    /// The first word of the mapping.
    ///
    /// Sound to share between threads: the pointer never changes, and what it points to is atomic.
    @usableFromInline nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>
    /// The first bucket of the first vCPU's first histogram, at the start of a page.
    ///
    /// Sound to share between threads: as `words`.
    @usableFromInline nonisolated(unsafe) let buckets: UnsafeMutablePointer<Atomic<UInt64>>

    /// The words of a page.
    private static let wordsPerPage = 4096 / MemoryLayout<Atomic<UInt64>>.stride

    /// Counters at zero for a number of vCPUs.
    ///
    /// - Throws: `ResourceError` when the system refuses the memory.
    public init(vcpuCount: Int) throws(ResourceError) {
        precondition(vcpuCount > 0)
        self.vcpuCount = vcpuCount
        let numberPages = (vcpuCount * ExitCounters.blockStride + Self.wordsPerPage - 1) / Self.wordsPerPage
        let bucketStart = numberPages * Self.wordsPerPage
        let wordCount = bucketStart + vcpuCount * ExitCounters.bucketStride
        let size = wordCount * MemoryLayout<Atomic<UInt64>>.stride

        var address: UnsafeMutableRawPointer?
        let result = unsafe ckvm_map_sparse(size, &address)
        guard result == 0, let address = unsafe address else {
            throw ResourceError("the memory of the counters", ErrorNumber(rawValue: -result))
        }
        mapping = unsafe MemoryMapping(takingOver: address, size: size)
        // Sound: the mapping is page-aligned, as long as the words, and zero, which is an atomic zero.
        unsafe words = unsafe address.bindMemory(to: Atomic<UInt64>.self, capacity: wordCount)
        unsafe buckets = unsafe words + bucketStart
    }

    /// The counters of one vCPU. The table must outlive them.
    @inlinable
    package func counters(of vcpu: Int) -> ExitCounters {
        precondition(vcpu >= 0 && vcpu < vcpuCount)
        // Sound: the index was just checked, and each vCPU has blockStride words and bucketStride buckets.
        return unsafe ExitCounters(
            words: words + vcpu * ExitCounters.blockStride,
            buckets: buckets + vcpu * ExitCounters.bucketStride
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
// Safe to use: every offset is made of a kind, of which there are as many as a block has room for, and of a bucket.
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

    /// The words of a kind: exits, cycles, maximum cycles, and the most cycles that an exit can take and need no more than
    /// to be counted in its bucket.
    @inlinable static var wordsPerKind: Int { 4 }
    @inlinable package static var kindCount: Int { ExitKind.count }
    /// The words of a block, rounded up to a multiple of 16, which is two cache lines.
    @inlinable static var blockStride: Int { (Word.kinds + kindCount * wordsPerKind + 15) / 16 * 16 }

    /// The buckets of a vCPU: a histogram a kind. Each is a whole number of pages.
    @inlinable static var bucketStride: Int { kindCount * ServiceTimeBucket.count }

    @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline let buckets: UnsafeMutablePointer<Atomic<UInt64>>

    @inlinable
    package init(words: UnsafeMutablePointer<Atomic<UInt64>>, buckets: UnsafeMutablePointer<Atomic<UInt64>>) {
        unsafe self.words = unsafe words
        unsafe self.buckets = unsafe buckets
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
    /// - Returns: The cycles that it took to get memory for the histogram, where this may have been its page's first use;
    ///   else 0. They are booked as MiniVMM's own, so that the first exits are not the slowest.
    @inlinable
    @inline(__always)
    @discardableResult
    package func finish(_ kind: ExitKind, serviceCycles: UInt64) -> UInt64 {
        add(serviceCycles, to: Self.word(kind, 1))
        guard _fastPath(serviceCycles <= load(Self.word(kind, 3))) else { return countLong(kind, serviceCycles) }
        count(kind, inBucket: ServiceTimeBucket.indexInRange(of: serviceCycles))
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

    /// Counts an exit that took longer than all before it, or longer than the histogram tells apart: the first of its kind,
    /// and few others.
    ///
    /// - Returns: The cycles that counting took: the bucket may be in a page that the system has yet to hand out.
    @inline(never)
    @usableFromInline
    func countLong(_ kind: ExitKind, _ serviceCycles: UInt64) -> UInt64 {
        let start = ckvm_rdtsc()
        let maximum = max(serviceCycles, maximumServiceCycles(of: kind))
        unsafe words[Self.word(kind, 2)].store(maximum, ordering: .relaxed)
        unsafe words[Self.word(kind, 3)].store(min(maximum, ServiceTimeBucket.longestInRange), ordering: .relaxed)
        count(kind, inBucket: ServiceTimeBucket.index(of: serviceCycles))
        let cycles = ckvm_rdtsc() &- start
        add(cycles, to: Word.internalCycles)
        return cycles
    }

    @inlinable
    @inline(__always)
    func count(_ kind: ExitKind, inBucket bucket: Int) {
        // Sound: a kind has ServiceTimeBucket.count buckets, and a bucket's number is less than that.
        let bucket = unsafe buckets + (kind.index &* ServiceTimeBucket.count &+ bucket)
        unsafe bucket.pointee.store(bucket.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
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

    /// Adds how many service times of a kind are in the first buckets of its histogram to as many numbers, modulo 2^64.
    /// There must be so many buckets.
    ///
    /// - Returns: How many service times that were, modulo 2^64.
    func addBuckets(of kind: ExitKind, to sums: inout [UInt64]) -> UInt64 {
        precondition(sums.count <= ServiceTimeBucket.count)
        // Sound: a kind has ServiceTimeBucket.count buckets.
        let first = unsafe buckets + kind.index * ServiceTimeBucket.count
        var total: UInt64 = 0
        unsafe sums.withUnsafeMutableBufferPointer { sums in
            for bucket in sums.indices {
                let times = unsafe first[bucket].load(ordering: .relaxed)
                // Sound: the index is one of the buffer's.
                unsafe sums[bucket] &+= times
                total &+= times
            }
        }
        return total
    }
}
