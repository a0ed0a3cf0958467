import Counters

/// The exits over time, stacked by kind; where every exit was counted, by type, KVM's below and MiniVMM's above.
struct TimelineChart {
    /// A layer of the stack.
    private struct Layer {
        let colorClass: String
        /// The exits of the layers at and below this one, by interval.
        let exits: [UInt64]
        /// Those of the layers below alone: what is pale or faint lets through what is behind it, and must not show more than
        /// its own.
        let below: [UInt64]
    }

    private let timeline: ExitTimeline
    private let tscKHz: UInt32?
    /// From the lowest to the highest.
    private let layers: [Layer]
    /// The top of what KVM settled, if every exit was counted.
    private var kernelTop: [UInt64]?
    /// What the colors mean.
    private let legend: Markup

    /// The height of the drawing, in its own units.
    private static let height = 1000.0

    /// - Parameters:
    ///   - timeline: At most as many intervals as are to be drawn.
    ///   - series: Its exits, from the lowest layer to the highest.
    init(_ timeline: ExitTimeline, _ series: [PageSeries], palette: PagePalette, tscKHz: UInt32?) {
        self.timeline = timeline
        self.tscKHz = tscKHz
        legend =
            palette.types.map { $0.settlerLegend + $0.colors.legend } ?? palette.kinds.colors.legend
        var layers: [Layer] = []
        var top = [UInt64](repeating: 0, count: timeline.intervalCount)
        for series in series {
            // What has a color in common is one layer.
            let isNew = layers.last?.colorClass != series.color
            let below = isNew ? top : layers.removeLast().below
            top = zip(top, series.exits).map { $0 &+ $1 }
            layers.append(Layer(colorClass: series.color, exits: top, below: below))
            if series.isKernels { kernelTop = top }
        }
        if palette.types != nil, kernelTop == nil { kernelTop = top.map { _ in 0 } }
        self.layers = layers
    }

    var markup: Markup {
        let top = AxisScale.roundedUp(rate(layers.last?.exits.max() ?? 0))
        let y = (0...4).reversed().map { quarter in
            "<span>\(AxisScale.label(HumanNumber.count(top * Double(quarter) / 4)))</span>" as Markup
        }.joined()
        let end = Double(timeline.intervalCount)
        let x = AxisScale.ticks(upTo: seconds(end)).map { tick -> Markup in
            let place = Markup.number(100 * tick / seconds(end))
            return "<span style=\"left:\(place)%\">\(AxisScale.label(label(tick)))</span>"
        }.joined()
        let length = time(atInterval: 1)
        return """
            <p>\(unit), in intervals of \(length).</p>
            <div class="plot"><div class="y">\(y)</div><div class="area">\(drawing(top))</div><div class="x">\(x)</div></div>
            \(legend)
            """
    }

    /// The drawing, an interval to a unit of width. It is stretched to whatever room there is.
    private func drawing(_ top: Double) -> Markup {
        let width = timeline.intervalCount
        var paths = layers.reversed().map { layer in
            "<path class=\"\(layer.colorClass)\" d=\"\(path(layer.exits, above: layer.below, top))\"/>" as Markup
        }
        if let kernelTop { paths.append("<path class=\"edge\" d=\"\(edge(kernelTop, top))\"/>") }
        let rules = (1...3).map { "<path class=\"rule\" d=\"M0 \($0 * 250)H\(width)\"/>" as Markup }
        let notes = (0..<width).map { index -> Markup in
            """
            <rect class="note" x="\(index)" y="0" width="1" height="1000"><title>\(note(index))</title></rect>
            """
        }
        return """
            <svg viewBox="0 0 \(width) 1000" preserveAspectRatio="none" role="img" aria-label="Exits over time by kind">
            \((rules + paths + notes).joined(separator: "\n"))
            </svg>
            """
    }

    /// The outline of a layer: a step for each interval, down to the layer below.
    private func path(_ exits: [UInt64], above below: [UInt64], _ top: Double) -> String {
        let outline = "M0 1000" + steps(exits, top)
        // Back along the top of the layer below: from the right to the left.
        var back = ""
        var last: String?
        for (index, count) in below.enumerated().reversed() {
            let y = height(count, top)
            if y != last { back += "H\(index + 1)V\(y)" }
            last = y
        }
        return outline + back + "H0Z"
    }

    /// The line along the top of a layer.
    private func edge(_ exits: [UInt64], _ top: Double) -> String {
        "M0 \(height(exits.first ?? 0, top))" + steps(exits, top) + "H\(exits.count)"
    }

    private func steps(_ exits: [UInt64], _ top: Double) -> String {
        var path = ""
        var last: String?
        for (index, count) in exits.enumerated() {
            let y = height(count, top)
            if y != last { path += (index > 0 ? "H\(index)" : "") + "V\(y)" }
            last = y
        }
        return path
    }

    private func height(_ exits: UInt64, _ top: Double) -> String {
        Markup.number(Self.height * (1 - rate(exits) / top))
    }

    private func note(_ index: Int) -> String {
        let own = timeline.series.filter { $0.exits[index] > 0 }.map { "\($0.kind.name) \($0.exits[index])" }
        let kernel = timeline.kernelSeries.filter { $0.exits[index] > 0 }.map { "\($0.name) \($0.exits[index])" }
        var parts: [String] = []
        if !kernel.isEmpty { parts.append("KVM: " + kernel.joined(separator: ", ")) }
        if !own.isEmpty { parts.append((kernelTop == nil ? "" : "MiniVMM: ") + own.joined(separator: ", ")) }
        return "from \(time(atInterval: Double(index))): " + (parts.isEmpty ? "none" : parts.joined(separator: "; "))
    }

    // MARK: Units

    private var unit: String { tscKHz == nil ? "Exits per million cycles" : "Exits per second" }

    /// The rate that one exit in an interval stands for.
    var ratePerExit: Double {
        (tscKHz.map { Double($0) * 1000 } ?? 1e6) / Double(timeline.intervalCycles)
    }

    /// Exits of an interval as a rate.
    private func rate(_ exits: UInt64) -> Double { Double(exits) * ratePerExit }

    /// A number of intervals in seconds; in cycles where their frequency is not known.
    private func seconds(_ intervals: Double) -> Double {
        let cycles = intervals * Double(timeline.intervalCycles)
        return tscKHz.map { cycles / (Double($0) * 1000) } ?? cycles
    }

    /// When an interval starts, in words.
    func time(atInterval number: Double) -> String { label(seconds(number)) }

    /// A time in words, from seconds or cycles.
    private func label(_ value: Double) -> String {
        if value == 0 { return "0" }
        return tscKHz == nil ? HumanNumber.count(value) + " cycles" : HumanNumber.spaced(seconds: value)
    }
}

extension ExitTimeline.KernelSeries {
    /// What the type is called.
    var name: String { type?.name ?? "other" }
}

/// Where an axis ends.
enum AxisScale {
    /// A number as the label of an axis: without zeros at the end of its fraction, as in `1k` and `2.5M`.
    package static func label(_ text: String) -> String {
        guard let dot = text.firstIndex(of: ".") else { return text }
        let end = text[dot...].dropFirst().firstIndex { !$0.isNumber } ?? text.endIndex
        var number = text[..<end]
        while number.last == "0" { number.removeLast() }
        if number.last == "." { number.removeLast() }
        return String(number + text[end...])
    }

    /// Where labels stand on an axis from 0 to a number: two to five multiples of 1, 2 or 5 times a power of ten.
    static func ticks(upTo end: Double) -> [Double] {
        guard end > 0 else { return [0] }
        let least = end / 4
        var power = 1.0
        while power * 10 <= least { power *= 10 }
        while power > least { power /= 10 }
        let step = ([1, 2, 5].first { $0 * power >= least } ?? 10) * power
        return (0...4).map { Double($0) * step }.filter { $0 <= end }
    }

    /// The least of 1, 1.2, 1.6, 2, 4, 6, 8 and 10 times a power of ten that is not less than the value: its quarters are short
    /// numbers.
    static func roundedUp(_ value: Double) -> Double {
        guard value > 0 else { return 1 }
        var power = 1.0
        while power * 10 < value { power *= 10 }
        while power >= value { power /= 10 }
        return ([1, 1.2, 1.6, 2, 4, 6, 8].first { $0 * power >= value } ?? 10) * power
    }
}
