import Histogram

extension Histogram<UInt64> {
    /// The value at or below which a percentage of the recorded values lie, as `valueAtPercentile(_:)` gives it.
    ///
    /// That function walks through the buckets, and is compiled for no particular type of counter: walking up to the
    /// last bucket in use takes longer than a small guest does. Where there are few values, it is not needed.
    ///
    /// - Parameter percentile: Above 0 and below 100.
    /// - Returns: The upper end of the value's bucket, or the greatest value if that is less; 0 when nothing was
    ///   recorded.
    func value(atPercentile percentile: Double) -> UInt64 {
        // Less by the smallest step, so that rounding errors do not lead to the next value.
        let rank = (percentile.nextDown * Double(totalCount) / 100).rounded(.up)
        return rank >= Double(totalCount) ? maxRecorded : valueAtPercentile(percentile)
    }
}
