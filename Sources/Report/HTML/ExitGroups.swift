import Counters

/// What a page's exits can be filtered by: their kinds, or where every exit was counted their types, of which KVM's exits
/// and MiniVMM's are both.
struct ExitGroups {
    /// The names, those that took most time first.
    let names: [String]
    private let isByType: Bool
    private let numbers: [String: Int]

    /// What KVM settled and the SDM has no number for, as in the exits over time.
    static let other = "other"

    /// The groups of a run.
    init(_ statistics: VCPUStatistics, _ breakdown: ExitBreakdown?) {
        isByType = breakdown != nil
        let kinds = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map(\.kind.name)
        let types = breakdown?.rows.map(Self.name) ?? kinds
        // Types come in the order of what all their exits took, as the colors do.
        let order = breakdown?.types.sorted { $0.nanoseconds > $1.nanoseconds }.map(\.name) ?? []
        var names: [String] = []
        for name in order.filter(Set(types).contains) + types where !names.contains(name) { names.append(name) }
        self.names = names
        numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($0.element, $0.offset) })
    }

    /// The name of a row's group.
    static func name(of row: ExitBreakdown.Row) -> String {
        row.settler == .kvm ? row.type?.name ?? other : row.typeName
    }

    /// The number of a name in ``names``; nil when it is in none.
    func number(of name: String) -> Int? { numbers[name] }

    /// The number of a kind's group.
    func number(of kind: ExitKind) -> Int? {
        numbers[isByType ? kind.basicExitReason?.name ?? kind.name : kind.name]
    }

    /// The number of a place's group.
    func number(of exit: ExitPlaces.Exit) -> Int? {
        switch exit {
        case .minivmm(let kind): number(of: kind)
        case .kvm(_, let reason): numbers[reason?.name ?? Self.other]
        }
    }
}

/// The colors of a page, and the groups that they stand for.
struct PagePalette {
    let groups: ExitGroups
    let kinds: KindPalette
    /// Where every exit was counted.
    let types: TypePalette?

    init(_ statistics: VCPUStatistics, _ breakdown: ExitBreakdown?) {
        groups = ExitGroups(statistics, breakdown)
        types = breakdown.map(TypePalette.init)
        kinds = KindPalette(statistics, types: types)
    }

    /// The class of the elements of a place's exits.
    func colorClass(of exit: ExitPlaces.Exit) -> String {
        switch exit {
        case .minivmm(let kind):
            types?.colorClass(of: kind.basicExitReason?.name ?? kind.name, .miniVMM) ?? kinds.colorClass(of: kind)
        case .kvm(_, let reason): types?.colorClass(of: reason?.name ?? ExitGroups.other) ?? ""
        }
    }

    /// The exits over time from the lowest layer to the highest: KVM's below MiniVMM's, each in the order of the colors.
    func series(_ timeline: ExitTimeline) -> [PageSeries] {
        func each(_ exits: (ExitTimeline.VCPU) -> [UInt64]?) -> [[UInt64]] {
            timeline.vcpus.map { exits($0) ?? [] }
        }
        let kernel = timeline.kernelSeries.map { series in
            PageSeries(
                name: series.name, group: groups.number(of: series.name), isKernels: true,
                color: colorClass(of: .kvm(code: nil, reason: series.type)), exits: series.exits,
                vcpus: each { vcpu in vcpu.kernelSeries.first { $0.type == series.type }?.exits })
        }
        let own = timeline.series.map { series in
            PageSeries(
                name: series.kind.name, group: groups.number(of: series.kind), isKernels: false,
                color: colorClass(of: .minivmm(series.kind)), exits: series.exits,
                vcpus: each { vcpu in vcpu.series.first { $0.kind == series.kind }?.exits })
        }
        // The names of the colors are in the order of the colors. Sorting keeps the order of equals.
        return [kernel, own].flatMap { series in
            series.enumerated().sorted { ($0.element.color, $0.offset) < ($1.element.color, $1.offset) }.map(\.element)
        }
    }
}

/// The exits of one kind, or of one type that KVM settled, in each interval of time.
struct PageSeries {
    let name: String
    /// The number of its group.
    let group: Int?
    let isKernels: Bool
    let color: String
    let exits: [UInt64]
    /// Those of each vCPU; an empty list stands for zeros.
    let vcpus: [[UInt64]]
}
