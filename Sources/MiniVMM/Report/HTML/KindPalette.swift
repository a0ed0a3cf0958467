/// The colors of the kinds: the ones that took most time get one of their own, the rest share one.
struct KindPalette {
    /// The kinds that have a color of their own, the most expensive first.
    let kinds: [ExitKind]
    /// Whether there are kinds besides.
    let hasOthers: Bool

    /// How many colors there are besides that of the rest.
    private static let colorCount = 7

    init(_ statistics: VCPUStatistics) {
        let sorted = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map(\.kind)
        // A color for the rest is of use when it stands for several kinds.
        let count = sorted.count <= Self.colorCount + 1 ? sorted.count : Self.colorCount
        kinds = Array(sorted.prefix(count))
        hasOthers = sorted.count > count
    }

    /// The class of the elements of a kind, which the style sheet gives its color.
    func colorClass(of kind: ExitKind) -> String {
        "k\(kinds.firstIndex(of: kind) ?? Self.colorCount)"
    }

    /// A square in the kind's color, and its name.
    func label(_ kind: ExitKind) -> String {
        "<span class=\"kind\"><i class=\"\(colorClass(of: kind))\"></i>\(kind.name)</span>"
    }

    /// What the colors mean.
    var legend: String {
        let labels = kinds.map(label)
        let others = hasOthers ? ["<span class=\"kind\"><i class=\"k\(Self.colorCount)\"></i>others</span>"] : []
        return "<p class=\"legend\">" + (labels + others).joined(separator: " ") + "</p>\n"
    }
}
