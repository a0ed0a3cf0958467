import Synchronization

/// The buckets of a histogram of service times: log-linear, and the same for every histogram.
///
/// The first 256 hold one cycle each. After them each doubling is cut into 128 buckets of equal width, so that a bucket is
/// at most as wide as 1/128 of the least time in it: whoever takes a time to be its bucket's end is off by less than
/// 0.79 %. Those are the two significant digits that reports promise. The layout is that of HdrHistogram with two digits.
@usableFromInline
package enum ServiceTimeBucket {
    /// A doubling has two to the power of this many buckets.
    @inlinable static var bitsPerDoubling: Int { 7 }
    /// Times from two to the power of this on, in cycles, are in the last bucket: about half an hour.
    @inlinable static var rangeBits: Int { 42 }
    /// The number of buckets.
    @inlinable package static var count: Int { (rangeBits - bitsPerDoubling + 1) << bitsPerDoubling }

    /// The longest time that the buckets tell from longer ones, in cycles.
    @inlinable static var longestInRange: UInt64 { 1 << UInt64(rangeBits) &- 1 }

    /// The number of the bucket that a time in cycles is in.
    @inlinable
    package static func index(of cycles: UInt64) -> Int {
        indexInRange(of: min(cycles, longestInRange))
    }

    /// The same for a time of at most ``longestInRange``.
    @inlinable
    @inline(__always)
    static func indexInRange(of cycles: UInt64) -> Int {
        // Below 256 nothing is shifted out.
        let highestBit = UInt64.bitWidth &- 1 &- (cycles | 0xff).leadingZeroBitCount
        let shift = highestBit &- bitsPerDoubling
        return shift &<< bitsPerDoubling &+ Int(truncatingIfNeeded: cycles &>> UInt64(truncatingIfNeeded: shift))
    }

    /// The longest time that belongs to a bucket, in cycles. Longer ones are in the last one all the same.
    package static func longest(in index: Int) -> UInt64 {
        let shift = max(0, (index >> bitsPerDoubling) - 1)
        return UInt64(index - shift << bitsPerDoubling + 1) << UInt64(shift) - 1
    }
}

/// The service times of one kind's exits on some vCPUs: a view of their buckets in an ``ExitCounterTable``, which must
/// outlive it.
///
/// Any thread may read. What it finds is exact when the vCPUs are stopped.
// Safe to use: every index is that of a bucket, and the table is kept by whoever made the view.
@safe
package struct ServiceTimeHistogram {
    private let vcpus: [ExitCounters]
    private let kind: ExitKind
    /// The longest time, in cycles, which is exact.
    private let longest: UInt64

    /// The sum over the vCPUs that the counters belong to.
    package init(_ kind: ExitKind, of counters: [ExitCounters]) {
        vcpus = counters
        self.kind = kind
        longest = counters.reduce(0) { max($0, $1.maximumServiceCycles(of: kind)) }
    }

    /// The buckets up to that of the longest time: pages of buckets that were never touched are not asked for either.
    private var usedBuckets: Range<Int> { 0..<(ServiceTimeBucket.index(of: longest) + 1) }

    private func count(in bucket: Int) -> UInt64 {
        vcpus.reduce(0) { $0 &+ $1.count(of: kind, inBucket: bucket) }
    }

    /// The number of times.
    package var count: UInt64 { usedBuckets.reduce(0) { $0 &+ count(in: $1) } }

    /// The 50th and the 99th percentile.
    var medianAnd99th: (UInt64, UInt64) {
        let total = count
        return (value(atPercentile: 50, of: total), value(atPercentile: 99, of: total))
    }

    /// The time at or below which a percentage of the times lie.
    ///
    /// - Parameters:
    ///   - percentile: Above 0 and at most 100.
    ///   - total: The number of times, ``count``.
    /// - Returns: The longest time of the bucket that it is in, or the longest of all times if that is less; 0 when
    ///   there are none.
    package func value(atPercentile percentile: Double, of total: UInt64) -> UInt64 {
        guard total > 0 else { return 0 }
        // Less by the smallest step, so that rounding errors do not lead to the next value.
        let rank = UInt64((percentile.nextDown * Double(total) / 100).rounded(.up))
        var atOrBelow: UInt64 = 0
        for bucket in usedBuckets {
            atOrBelow &+= count(in: bucket)
            // The last bucket holds longer times, too.
            if atOrBelow >= rank {
                return bucket == usedBuckets.upperBound - 1 ? longest : ServiceTimeBucket.longest(in: bucket)
            }
        }
        return longest
    }

    /// Calls a closure with each bucket's longest time and count, in ascending order, for those that have any.
    package func forEach(_ body: (_ cycles: UInt64, _ count: UInt64) -> Void) {
        for bucket in usedBuckets {
            let count = count(in: bucket)
            if count > 0 { body(ServiceTimeBucket.longest(in: bucket), count) }
        }
    }
}
