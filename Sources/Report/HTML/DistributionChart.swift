import Counters
import Glibc

/// How the service times of each kind are distributed, on one logarithmic scale for all kinds.
struct DistributionChart {
    private let distributions: [ServiceTimeDistribution]
    private let statistics: VCPUStatistics
    private let palette: PagePalette
    private let tscKHz: UInt32?
    /// The scale, in powers of ten of cycles.
    private let decades: ClosedRange<Int>

    init(
        _ distributions: [ServiceTimeDistribution], _ statistics: VCPUStatistics, palette: PagePalette, tscKHz: UInt32?
    ) {
        self.statistics = statistics
        self.palette = palette
        self.tscKHz = tscKHz
        let expensive = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map(\.kind)
        self.distributions = expensive.compactMap { kind in
            distributions.first { $0.kind == kind && !$0.classes.isEmpty }
        }
        let numbers = self.distributions.flatMap { $0.classes.map(\.number) }
        let low = Int((Double(numbers.min() ?? 0) * Self.decadesPerClass).rounded(.down))
        let high = Int((Double((numbers.max() ?? 0) + 1) * Self.decadesPerClass).rounded(.up))
        decades = low...max(high, low + 1)
    }

    /// log10(2) / 4: how much of a power of ten a class is wide.
    private static let decadesPerClass = 0.3010299956639812 / Double(ServiceTimeDistribution.classesPerDoubling)
    private static let width = 1000.0

    var markup: Markup {
        let rows = distributions.map { distribution -> Markup in
            let group = Markup.attribute("data-group", palette.groups.number(of: distribution.kind))
            return """
                <div\(group)>\(palette.kinds.label(distribution.kind))</div>\
                <div class="strip"\(group)>\(drawing(distribution))</div>
                """
        }
        return """
            <p>Time per exit: cycles\(tscKHz == nil ? "" : ", and below them the time that they are"). Both axes are \
            logarithmic: a bar that is half as high stands for far fewer exits. The lines are the median (solid) and \
            the 99th percentile (dashed).</p>
            <div class="strips">
            \(rows.joined(separator: "\n"))
            <div></div><div class="decades\(isDense ? " dense" : "")">\(axis)</div>
            </div>

            """
    }

    /// Whether a narrow screen has no room for a label at every power of ten.
    private var isDense: Bool { decades.count > 7 }

    private var axis: Markup {
        decades.map { decade -> Markup in
            let cycles = Double(decade: decade)
            let time: Markup =
                tscKHz.map { "<br>\(HumanNumber.spaced(seconds: cycles / (Double($0) * 1000)))" } ?? ""
            return """
                <span style="left:\(number: place(Double(decade)) / 10)%">\
                \(AxisScale.label(HumanNumber.count(cycles)))\(time)</span>
                """
        }.joined()
    }

    /// Where a power of ten stands, in the drawing's units.
    private func place(_ decade: Double) -> Double {
        (decade - Double(decades.lowerBound)) / Double(decades.count - 1) * Self.width
    }

    private func drawing(_ distribution: ServiceTimeDistribution) -> Markup {
        let most = distribution.classes.map(\.exits).max() ?? 1
        let colorClass = palette.kinds.colorClass(of: distribution.kind)
        let width = Self.decadesPerClass / Double(decades.count - 1) * Self.width
        let bars = distribution.classes.map { item -> Markup in
            // One exit is to be seen, and the highest bar is as high as there is room.
            let height = 100 * Logarithm.binary(Double(item.exits) + 1) / Logarithm.binary(Double(most) + 1)
            let x = place(Double(item.number) * Self.decadesPerClass)
            return """
                <rect class="\(colorClass)" x="\(number: x)" y="\(number: 100 - height)" \
                width="\(number: width)" height="\(number: height)"><title>\(note(item))</title></rect>
                """
        }
        let rules = decades.map { decade in
            "<path class=\"rule\" d=\"M\(number: place(Double(decade))) 0V100\"/>" as Markup
        }
        return """
            <svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" \
            aria-label="Service times of \(distribution.kind.name)">\
            \((rules + bars + marks(distribution.kind)).joined())</svg>
            """
    }

    /// The lines at the median and the 99th percentile.
    private func marks(_ kind: ExitKind) -> [Markup] {
        guard let kind = statistics.kinds.first(where: { $0.kind == kind }) else { return [] }
        return [(kind.p50, "p50"), (kind.p99, "p99")].map { cycles, name in
            let x = place(Logarithm.decimal(Double(max(cycles, 1))))
            return "<path class=\"\(name)\" d=\"M\(number: x) 0V100\"/>" as Markup
        }
    }

    private func note(_ item: ServiceTimeDistribution.Class) -> String {
        let from = ServiceTimeDistribution.leastCycles(ofClass: item.number)
        let below = ServiceTimeDistribution.leastCycles(ofClass: item.number + 1)
        return "\(from) to \(below) cycles: \(item.exits) \(item.exits == 1 ? "exit" : "exits")"
    }
}

extension Double {
    /// A power of ten.
    fileprivate init(decade: Int) {
        self = (0..<max(decade, 0)).reduce(1) { value, _ in value * 10 }
    }
}

/// Logarithms.
enum Logarithm {
    /// To base 2.
    package static func binary(_ value: Double) -> Double { log2(value) }
    /// To base 10.
    package static func decimal(_ value: Double) -> Double { log10(value) }
}
