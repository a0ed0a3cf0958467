/// How the service times of a kind are distributed, in the JSON format.
struct DistributionRecord: Encodable {
    /// The exits that took at least `from` and less than `below` cycles.
    struct Class: Encodable {
        let from: UInt64
        let below: UInt64
        let exits: UInt64
    }

    let kind: String
    let classes: [Class]

    init(_ distribution: ServiceTimeDistribution) {
        kind = distribution.kind.name
        classes = distribution.classes.map { item in
            Class(
                from: ServiceTimeDistribution.leastCycles(ofClass: item.number),
                below: ServiceTimeDistribution.leastCycles(ofClass: item.number + 1), exits: item.exits)
        }
    }
}
