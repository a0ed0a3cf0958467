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

/// The service times of one kind's exits on some vCPUs: a copy of what their buckets held, as far as they are in use.
///
/// Any thread may make one. It is exact when the vCPUs are stopped.
package struct ServiceTimeHistogram {
    /// How many times there are in each bucket, up to that of the longest time.
    private let counts: [UInt64]
    /// The longest time, in cycles, which is exact.
    private let longest: UInt64
    /// The number of times.
    package let count: UInt64

    /// The sum over the vCPUs that the counters belong to.
    package init(_ kind: ExitKind, of counters: [ExitCounters]) {
        let longest = counters.reduce(0) { max($0, $1.maximumServiceCycles(of: kind)) }
        // Pages of buckets that were never touched are not asked for either.
        var counts = [UInt64](repeating: 0, count: ServiceTimeBucket.index(of: longest) + 1)
        var count: UInt64 = 0
        for vcpu in counters { count &+= vcpu.addBuckets(of: kind, to: &counts) }
        self.counts = counts
        self.longest = longest
        self.count = count
    }

    /// The 50th and the 99th percentile.
    var medianAnd99th: (UInt64, UInt64) {
        (value(atPercentile: 50), value(atPercentile: 99))
    }

    /// The time at or below which a percentage of the times lie.
    ///
    /// - Parameter percentile: Above 0 and at most 100.
    /// - Returns: The longest time of the bucket that it is in, or the longest of all times if that is less; 0 when
    ///   there are none.
    package func value(atPercentile percentile: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        // Less by the smallest step, so that rounding errors do not lead to the next value.
        let rank = UInt64((percentile.nextDown * Double(count) / 100).rounded(.up))
        var atOrBelow: UInt64 = 0
        // The last bucket holds longer times, too.
        for bucket in 0..<(counts.count - 1) {
            atOrBelow &+= counts[bucket]
            if atOrBelow >= rank { return ServiceTimeBucket.longest(in: bucket) }
        }
        return longest
    }

    /// Calls a closure with each bucket's longest time and count, in ascending order, for those that have any.
    package func forEach(_ body: (_ cycles: UInt64, _ count: UInt64) -> Void) {
        for (bucket, count) in counts.enumerated() where count > 0 {
            body(ServiceTimeBucket.longest(in: bucket), count)
        }
    }
}
