import Counters

/// The kinds' shares of the exits and of the service time.
struct ShareChart {
    private let statistics: VCPUStatistics
    private let palette: KindPalette
    private let groups: ExitGroups

    init(_ statistics: VCPUStatistics, palette: KindPalette, groups: ExitGroups) {
        self.groups = groups
        self.statistics = statistics
        self.palette = palette
    }

    var markup: Markup {
        let rows = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map { kind in
            let exits = bar(kind.kind, kind.exits, of: statistics.exits)
            let time = bar(kind.kind, kind.serviceCycles, of: statistics.serviceCycles)
            return Self.row(palette.label(kind.kind), exits, time, group: groups.number(of: kind.kind))
        }
        return """
            <div class="shares">
            <div></div><div>of exits</div><div>of service time</div>
            \(rows.joined(separator: "\n"))
            </div>

            """
    }

    /// A label, and the bars of its exits and of its time.
    static func row(_ label: Markup, _ exits: Markup, _ time: Markup, group: Int?) -> Markup {
        let group = Markup.attribute("data-group", group)
        return """
            <div\(group)>\(label)</div><div class="bar"\(group) data-bar="exits">\(exits)</div>\
            <div class="bar"\(group) data-bar="time">\(time)</div>
            """
    }

    private func bar(_ kind: ExitKind, _ part: UInt64, of whole: UInt64) -> Markup {
        let width = whole == 0 ? 0 : Double(part) / Double(whole) * 100
        return """
            <span class="track parts"><b class="\(palette.colorClass(of: kind))" \
            style="width:\(number: width)%"></b></span>\
            <span class="value">\(HumanNumber.share(part, of: whole))</span>
            """
    }
}

/// Colors for names: the first ones get one of their own, the rest share one. A name has the same color in all reports,
/// unless that is taken by one that is more usual.
struct ColorPalette {
    /// The names that have a color of their own.
    package let names: [String]
    /// Whether there are names besides.
    private let hasOthers: Bool
    /// The numbers of the names' colors.
    private let numbers: [String: Int]

    /// How many colors there are besides that of the rest.
    private static let colorCount = 7
    /// The colors of the kinds and types that nearly all reports have, the most usual first.
    private static let usual: [(name: String, number: Int)] = [
        ("io_out", 0), ("I/O", 0), ("cpuid", 1), ("CPUID", 1), ("mmio_write", 2), ("EPT misconfig.", 2), ("io_in", 3),
        ("ext. interrupt", 3), ("hlt", 4), ("HLT", 4), ("mmio_read", 5), ("EPT violation", 5), ("wrmsr", 6),
        ("WRMSR", 6),
    ]

    /// - Parameter names: Those that matter most first.
    init(_ names: [String]) {
        // A color for the rest is of use when it stands for several names.
        let count = names.count <= Self.colorCount + 1 ? names.count : Self.colorCount
        self.names = Array(names.prefix(count))
        hasOthers = names.count > count
        numbers = Self.numbers(of: self.names, colors: hasOthers ? Self.colorCount : Self.colorCount + 1)
    }

    /// Gives each name its own color, or the next one that is free.
    private static func numbers(of names: [String], colors: Int) -> [String: Int] {
        let known = usual.filter { names.contains($0.name) }
        let rest = names.filter { name in !known.contains { $0.name == name } }.sorted().map { name in
            (name: name, number: name.utf8.reduce(0) { ($0 * 31 + Int($1)) % colorCount })
        }
        var numbers: [String: Int] = [:]
        for (name, wanted) in known + rest {
            let free = (0..<colors).map { (wanted + $0) % colors }.first { !numbers.values.contains($0) }
            numbers[name] = free
        }
        return numbers
    }

    /// The class of the elements of a name, which the style sheet gives its color.
    func colorClass(of name: String) -> String { Self.colorClass(numbers[name]) }

    private static func colorClass(_ index: Int?) -> String { "k\(index ?? colorCount)" }

    /// A square in a color, and a text.
    static func label(_ text: String, _ colorClass: String) -> Markup {
        "<span class=\"kind\"><i class=\"\(colorClass)\"></i>\(text)</span>"
    }

    /// What the colors mean.
    var legend: Markup {
        let labels = names.map { Self.label($0, colorClass(of: $0)) }
        let others = hasOthers ? [Self.label("others", Self.colorClass(nil))] : []
        return "<p class=\"legend\">\((labels + others).joined(separator: " "))</p>\n"
    }
}

/// The colors of the kinds: the ones that took most time get one of their own. Where every exit was counted, a kind has
/// the color of its type.
struct KindPalette {
    /// The colors of the kinds by themselves.
    let colors: ColorPalette
    private var types: TypePalette?

    init(_ statistics: VCPUStatistics, types: TypePalette? = nil) {
        colors = ColorPalette(
            statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map(\.kind.name))
        self.types = types
    }

    /// The class of the elements of a kind, which the style sheet gives its color.
    func colorClass(of kind: ExitKind) -> String {
        types?.colorClass(of: kind.basicExitReason?.name ?? kind.name) ?? colors.colorClass(of: kind.name)
    }

    /// A square in the kind's color, and its name.
    func label(_ kind: ExitKind) -> Markup { ColorPalette.label(kind.name, colorClass(of: kind)) }
}
