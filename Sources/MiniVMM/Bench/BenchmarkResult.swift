/// What an operation costs, in cycles of the guest's time-stamp counter, the two RDTSCs around it included.
public struct BenchmarkResult: Hashable, Sendable {
    let operation: BenchmarkOperation
    /// How often it was measured.
    public let repetitions: Int
    /// How many items it moves; the cycles are those of all of them.
    public let items: Int
    /// The shortest time, in cycles.
    public let least: UInt32
    /// The median: half of the times are at most as long.
    public let median: UInt32
    /// The 99th percentile.
    public let p99: UInt32

    /// The name in the JSON format.
    public var name: String { operation.name }
    /// The name in tables.
    public var title: String { operation.title }

    /// The result of some times, of which there is at least one.
    init(_ operation: BenchmarkOperation, samples: [UInt32]) {
        let sorted = samples.sorted()
        /// The least time that so many percent are at most as long as.
        func percentile(_ percent: Int) -> UInt32 {
            let rank = max(1, (sorted.count * percent + 99) / 100)
            return sorted.isEmpty ? 0 : sorted[rank - 1]
        }
        self.operation = operation
        repetitions = samples.count
        items = operation.items
        least = sorted.first ?? 0
        median = percentile(50)
        p99 = percentile(99)
    }
}
