import Counters

/// The exits over time, stacked by kind.
struct TimelineChart {
    private let timeline: ExitTimeline
    private let palette: KindPalette
    private let tscKHz: UInt32?
    /// The exits of the kinds at and below each kind, by interval.
    private let stacks: [(colorClass: String, exits: [UInt64])]

    /// The most intervals that are drawn: a little less than the pixels of a narrow screen.
    private static let maximumIntervalCount = 256
    /// The height of the drawing, in its own units.
    private static let height = 1000.0

    init(_ timeline: ExitTimeline, palette: KindPalette, tscKHz: UInt32?) {
        let timeline = timeline.coarser(atMost: Self.maximumIntervalCount)
        self.timeline = timeline
        self.palette = palette
        self.tscKHz = tscKHz
        let known = Set(palette.kinds)
        let rest = timeline.series.filter { !known.contains($0.kind) }
        let ordered = palette.kinds.map { kind in timeline.series.filter { $0.kind == kind } } + [rest]
        var sum = [UInt64](repeating: 0, count: timeline.intervalCount)
        var stacks: [(String, [UInt64])] = []
        for group in ordered {
            guard let first = group.first else { continue }
            for series in group { sum = zip(sum, series.exits).map { $0 &+ $1 } }
            stacks.append((palette.colorClass(of: first.kind), sum))
        }
        self.stacks = stacks
    }

    package var html: String {
        let top = AxisScale.roundedUp(rate(stacks.last?.exits.max() ?? 0))
        let y = (0...4).reversed().map { "<span>\(AxisScale.label(HumanNumber.count(top * Double($0) / 4)))</span>" }
            .joined()
        let end = seconds(Double(timeline.intervalCount))
        let x = (0...4).map { "<span style=\"left:\($0 * 25)%\">\(time(end * Double($0) / 4))</span>" }.joined()
        let length = time(seconds(1))
        return """
            <p>\(unit), in intervals of \(length).</p>
            <div class="plot"><div class="y">\(y)</div><div class="area">\(drawing(top))</div><div class="x">\(x)</div></div>

            """ + palette.legend
    }

    /// The drawing, an interval to a unit of width. It is stretched to whatever room there is.
    private func drawing(_ top: Double) -> String {
        let width = timeline.intervalCount
        // From the back to the front: each stack covers the part that the ones below it have in common.
        let paths = stacks.reversed().map { "<path class=\"\($0.colorClass)\" d=\"\(path($0.exits, top))\"/>" }
        let rules = (1...3).map { "<path class=\"rule\" d=\"M0 \($0 * 250)H\(width)\"/>" }
        let notes = (0..<width).map { index in
            "<rect class=\"note\" x=\"\(index)\" y=\"0\" width=\"1\" height=\"1000\">"
                + "<title>\(note(index))</title></rect>"
        }
        return "<svg viewBox=\"0 0 \(width) 1000\" preserveAspectRatio=\"none\" role=\"img\" "
            + "aria-label=\"Exits over time by kind\">\n"
            + (rules + paths + notes).joined(separator: "\n") + "\n</svg>"
    }

    /// The outline of a stack: a step for each interval.
    private func path(_ exits: [UInt64], _ top: Double) -> String {
        var path = "M0 1000"
        var last: String?
        for (index, count) in exits.enumerated() {
            let y = HTML.number(Self.height * (1 - rate(count) / top))
            if y != last { path += (index > 0 ? "H\(index)" : "") + "V\(y)" }
            last = y
        }
        return path + "H\(exits.count)V1000Z"
    }

    private func note(_ index: Int) -> String {
        let kinds = timeline.series.filter { $0.exits[index] > 0 }.map { "\($0.kind.name) \($0.exits[index])" }
        return "from \(time(seconds(Double(index)))): " + (kinds.isEmpty ? "none" : kinds.joined(separator: ", "))
    }

    // MARK: Units

    private var unit: String { tscKHz == nil ? "Exits per million cycles" : "Exits per second" }

    /// Exits of an interval as a rate.
    private func rate(_ exits: UInt64) -> Double {
        let unit = tscKHz.map { Double($0) * 1000 } ?? 1e6
        return Double(exits) * unit / Double(timeline.intervalCycles)
    }

    /// A number of intervals in seconds; in cycles where their frequency is not known.
    private func seconds(_ intervals: Double) -> Double {
        let cycles = intervals * Double(timeline.intervalCycles)
        return tscKHz.map { cycles / (Double($0) * 1000) } ?? cycles
    }

    private func time(_ value: Double) -> String {
        if value == 0 { return "0" }
        return tscKHz == nil ? HumanNumber.count(value) + " cycles" : HumanNumber.spaced(seconds: value)
    }
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
