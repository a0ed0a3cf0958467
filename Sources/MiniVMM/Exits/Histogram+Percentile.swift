import Histogram

extension Histogram<UInt64> {
    /// The value below or at which a percentage of the recorded values lie, as `valueAtPercentile(_:)` gives it.
    ///
    /// That function is compiled once for all types of counters, and takes some thirty times as long: more than the
    /// whole run of a small guest. The iterator that this one uses is compiled for this type.
    ///
    /// - Parameter percentile: Above 0 and below 100.
    /// - Returns: The upper end of the value's bucket; 0 when nothing was recorded.
    func value(atPercentile percentile: Double) -> UInt64 {
        // Less by the smallest step, so that rounding errors do not lead into the next bucket.
        let count = (percentile.nextDown * Double(totalCount) / 100).rounded(.up)
        let wanted = UInt64(Swift.max(1, count))
        for bucket in recordedValues() where bucket.totalCountToThisValue >= wanted {
            return bucket.value
        }
        return 0
    }
}
