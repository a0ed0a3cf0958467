import Counters

/// The numbers that the page's script chooses from and draws: sums, and exits by interval, never exits one by one. So a
/// page of a long run is no larger than one of a short run.
struct PageData: Encodable {
    /// The exits of a group that one side settles, for the shares.
    struct Row: Encodable {
        let group: Int
        let kvm: Bool
        let color: String
        /// By vCPU.
        let exits: [UInt64]
        /// By vCPU: nanoseconds where every exit was counted, else cycles.
        let time: [Double]
    }

    /// Exits over time.
    struct Series: Encodable {
        let name: String
        let group: Int?
        let kvm: Bool
        let color: String
        let exits: [UInt64]
        /// Left out where there is one vCPU; a list without numbers stands for zeros.
        let vcpus: [[UInt64]]?
    }

    /// A stack of the flame graph.
    struct Stack: Encodable {
        let frames: [String]
        let group: Int?
        let color: String
        /// By vCPU.
        let exits: [UInt64]
    }

    /// What exits can be chosen by.
    let groups: [String]
    /// How many vCPUs there are.
    let vcpus: Int
    let rows: [Row]
    /// When each interval starts, and when the last one ends.
    let times: [String]
    /// The rate that one exit in an interval stands for.
    let rate: Double
    let series: [Series]
    let stacks: [Stack]
    /// By table and row: the cells of each vCPU.
    let places: [String: [[String: [String]]]]

    /// The most numbers of exits over time. With more kinds and vCPUs there are fewer intervals.
    static let maximumSeriesNumbers = 65_536
    /// The most intervals: a little less than the pixels of a narrow screen.
    static let maximumIntervalCount = 256
    /// With fewer intervals there would be nothing to see.
    private static let leastIntervalCount = 16

    /// A run's exits over time, in as many intervals as a page may have.
    static func timeline(_ timeline: ExitTimeline) -> ExitTimeline {
        let series = timeline.series.count + timeline.kernelSeries.count
        let lists = series * (timeline.vcpus.count > 1 ? timeline.vcpus.count + 1 : 1)
        let count = maximumSeriesNumbers / max(lists, 1)
        return timeline.coarser(atMost: min(maximumIntervalCount, max(leastIntervalCount, count)))
    }

    init(
        _ outcome: RunOutcome, palette: PagePalette, series: [PageSeries], chart: TimelineChart?,
        intervalCount: Int, places: PlacesSection?
    ) {
        groups = palette.groups.names
        vcpus = outcome.statistics.vcpus.count
        rows = Self.rows(outcome, palette)
        times = chart.map { chart in (0...intervalCount).map { chart.time(atInterval: Double($0)) } } ?? []
        rate = chart?.ratePerExit ?? 0
        let isSeveral = outcome.statistics.vcpus.count > 1
        self.series = series.map { series in
            Series(
                name: series.name, group: series.group, kvm: series.isKernels, color: series.color,
                exits: series.exits, vcpus: isSeveral ? series.vcpus : nil)
        }
        stacks = (places?.stacks ?? []).map {
            Stack(frames: $0.frames, group: $0.group, color: $0.color, exits: $0.exits)
        }
        self.places = places?.vcpuCells ?? [:]
    }

    /// The sums of each vCPU, by group and by who settles.
    private static func rows(_ outcome: RunOutcome, _ palette: PagePalette) -> [Row] {
        struct Sum {
            var color: String
            var exits: [UInt64]
            var time: [Double]
        }
        let count = outcome.statistics.vcpus.count
        var sums: [[Int]: Sum] = [:]
        func add(_ group: Int?, _ kvm: Bool, _ color: String, _ vcpu: Int, _ exits: UInt64, _ time: Double) {
            guard let group else { return }
            let key = [group, kvm ? 0 : 1]
            var sum =
                sums[key]
                ?? Sum(color: color, exits: Array(repeating: 0, count: count), time: Array(repeating: 0, count: count))
            sum.exits[vcpu] &+= exits
            sum.time[vcpu] += time
            sums[key] = sum
        }
        for (vcpu, statistics) in outcome.statistics.vcpus.enumerated() {
            if let types = palette.types, let breakdown = ExitBreakdown(outcome, statistics) {
                for row in breakdown.rows {
                    let name = ExitGroups.name(of: row)
                    add(
                        palette.groups.number(of: name), row.settler == .kvm,
                        types.colorClass(of: row.typeName, row.settler), vcpu, row.exits, row.nanoseconds)
                }
            } else {
                for kind in statistics.kinds {
                    add(
                        palette.groups.number(of: kind.kind), false, palette.kinds.colorClass(of: kind.kind), vcpu,
                        kind.exits, Double(kind.serviceCycles))
                }
            }
        }
        return sums.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, sum in
            Row(group: key[0], kvm: key[1] == 0, color: sum.color, exits: sum.exits, time: sum.time)
        }
    }
}
