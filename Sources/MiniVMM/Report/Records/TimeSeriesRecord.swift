/// Exits over time, in the JSON format.
struct TimeSeriesRecord: Encodable {
    /// The exits of one kind in each interval.
    struct Series: Encodable {
        let kind: String
        let exits: [UInt64]
    }

    let intervalCycles: UInt64
    let intervals: Int
    let kinds: [Series]

    init(_ timeline: ExitTimeline) {
        intervalCycles = timeline.intervalCycles
        intervals = timeline.intervalCount
        kinds = timeline.series.map { Series(kind: $0.kind.name, exits: $0.exits) }
    }

    private enum CodingKeys: String, CodingKey {
        case intervalCycles = "interval_cycles"
        case intervals
        case kinds
    }
}
