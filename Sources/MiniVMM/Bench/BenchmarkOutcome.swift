/// What a benchmark came to.
public struct BenchmarkOutcome: Sendable {
    /// An operation that could not be measured.
    public struct Skipped: Hashable, Sendable {
        let operation: BenchmarkOperation
        /// Why, in a sentence.
        public let reason: String

        /// The name in the JSON format.
        public var name: String { operation.name }
        /// The name in tables.
        public var title: String { operation.title }
    }

    /// How often each operation was to be measured.
    public let repetitions: Int
    /// The frequency of the time-stamp counter in kHz, where it is known.
    public internal(set) var tscKHz: UInt32?
    /// The host.
    public let host: HostDescription
    /// What could be measured.
    public internal(set) var results: [BenchmarkResult]
    /// What could not.
    public internal(set) var skipped: [Skipped]
}
