import Counters

/// The kinds' shares of the exits and of the service time.
struct ShareChart {
    private let statistics: VCPUStatistics
    private let palette: KindPalette

    init(_ statistics: VCPUStatistics, palette: KindPalette) {
        self.statistics = statistics
        self.palette = palette
    }

    package var html: String {
        let rows = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map { kind in
            "<div>\(palette.label(kind.kind))</div>" + bar(kind.kind, kind.exits, of: statistics.exits)
                + bar(kind.kind, kind.serviceCycles, of: statistics.serviceCycles)
        }
        return "<div class=\"shares\">\n<div></div><div>of exits</div><div>of service time</div>\n"
            + rows.joined(separator: "\n") + "\n</div>\n"
    }

    private func bar(_ kind: ExitKind, _ part: UInt64, of whole: UInt64) -> String {
        let width = whole == 0 ? 0 : Double(part) / Double(whole) * 100
        return "<div class=\"bar\"><span class=\"track\"><b class=\"\(palette.colorClass(of: kind))\" "
            + "style=\"width:\(HTML.number(width))%\"></b></span>"
            + "<span class=\"value\">\(HumanNumber.share(part, of: whole))</span></div>"
    }
}

/// The colors of the kinds: the ones that took most time get one of their own, the rest share one.
struct KindPalette {
    /// The kinds that have a color of their own, the most expensive first.
    package let kinds: [ExitKind]
    /// Whether there are kinds besides.
    let hasOthers: Bool

    /// How many colors there are besides that of the rest.
    private static let colorCount = 7
    /// Where every exit was counted, the colors are the types'.
    private var types: TypePalette?

    /// The colors where every exit was counted: a kind has that of its type.
    init(_ statistics: VCPUStatistics, types: TypePalette) {
        self.init(statistics)
        self.types = types
    }

    init(_ statistics: VCPUStatistics) {
        let sorted = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map(\.kind)
        // A color for the rest is of use when it stands for several kinds.
        let count = sorted.count <= Self.colorCount + 1 ? sorted.count : Self.colorCount
        kinds = Array(sorted.prefix(count))
        hasOthers = sorted.count > count
    }

    /// The class of the elements of a kind, which the style sheet gives its color.
    func colorClass(of kind: ExitKind) -> String {
        if let types { return types.colorClass(of: kind.basicExitReason?.name ?? kind.name) }
        return "k\(kinds.firstIndex(of: kind) ?? Self.colorCount)"
    }

    /// A square in the kind's color, and its name.
    package func label(_ kind: ExitKind) -> String {
        "<span class=\"kind\"><i class=\"\(colorClass(of: kind))\"></i>\(kind.name)</span>"
    }

    /// What the colors mean.
    var legend: String {
        let labels = kinds.map(label)
        let others = hasOthers ? ["<span class=\"kind\"><i class=\"k\(Self.colorCount)\"></i>others</span>"] : []
        return "<p class=\"legend\">" + (labels + others).joined(separator: " ") + "</p>\n"
    }
}
