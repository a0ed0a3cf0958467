package import Counters
import Host

/// Exits up to some moment, as the full-screen view needs them.
package struct LiveSample: Sendable {
    /// The exits of one kind, or for one reason, on one vCPU.
    package struct Row: Sendable {
        package let name: String
        package let sdm: UInt32?
        /// Who settles them.
        package let settler: ExitBreakdown.Settler
        package let vcpu: Int
        package let exits: UInt64
        /// What those took that have finished.
        package let nanoseconds: Double

        package init(
            name: String, sdm: UInt32?, settler: ExitBreakdown.Settler, vcpu: Int, exits: UInt64, nanoseconds: Double
        ) {
            self.name = name
            self.sdm = sdm
            self.settler = settler
            self.vcpu = vcpu
            self.exits = exits
            self.nanoseconds = nanoseconds
        }
    }

    /// Since the start, in seconds.
    package let elapsed: Double
    package let rows: [Row]
    /// Where those come from that MiniVMM settled, if that is kept and was asked for.
    package let places: ExitPlaces?

    package init(elapsed: Double, rows: [Row], places: ExitPlaces? = nil) {
        self.elapsed = elapsed
        self.rows = rows
        self.places = places
    }
}

extension LiveSample {
    /// The counters of a run's vCPUs.
    ///
    /// - Parameters:
    ///   - vcpus: The counters of each.
    ///   - kernelSettled: What KVM settled itself, if every exit is counted.
    ///   - tscKHz: The frequency of the time-stamp counter; where it is not known, a cycle passes for a nanosecond.
    ///   - places: Where the exits come from that MiniVMM settled, if that is wanted.
    package init(
        elapsed: Duration, vcpus: [CounterSnapshot], kernelSettled: KernelSettledExits?, tscKHz: UInt32?,
        places: ExitPlaces? = nil
    ) {
        let scale = 1e6 / Double(tscKHz ?? 1_000_000)
        let own = vcpus.enumerated().flatMap { index, counters in
            counters.kinds.map { kind in
                Row(
                    name: kind.kind.name, sdm: kind.kind.basicExitReason?.rawValue, settler: .miniVMM, vcpu: index,
                    exits: kind.exits, nanoseconds: Double(kind.serviceCycles) * scale)
            }
        }
        let kernel = kernelSettled.map { settled in
            settled.vcpus.enumerated().flatMap { index, rows in
                KernelSettledExits.Row.byReason(rows).filter { $0.exits > 0 }.map { row in
                    Row(
                        name: row.name(isSVM: settled.isSVM), sdm: row.reason?.rawValue, settler: .kvm, vcpu: index,
                        exits: row.exits, nanoseconds: Double(row.nanoseconds))
                }
            }
        }
        self.init(elapsed: elapsed.inSeconds, rows: own + (kernel ?? []), places: places)
    }
}

/// A full-screen view of exits as they come: what is shown, in which order, and the lines of a screen.
package struct LiveView: Sendable {
    /// What a line stands for.
    package enum Grouping: Sendable {
        case kind
        case vcpu
        /// What the exits were about: a port, a page, an MSR, a leaf.
        case detail
        /// The guest's code: a function, or an instruction where its function is not known.
        case code

        /// Whether it takes the places that exits come from.
        package var needsPlaces: Bool { self == .detail || self == .code }
    }

    /// What lines are sorted by.
    package enum Order: CaseIterable, Sendable {
        case rate
        case exits
        case time
        case mean
        case name

        fileprivate var title: String {
            switch self {
            case .rate: "rate"
            case .exits: "exits"
            case .time: "time"
            case .mean: "mean"
            case .name: "name"
            }
        }
    }

    /// What is to be done about a key.
    package enum Action: Hashable, Sendable {
        /// The view has changed.
        case redraw
        /// Whoever watches wants to end it.
        case quit
    }

    private let title: String
    private let keepsPlaces: Bool
    package private(set) var grouping = Grouping.kind
    package private(set) var order = Order.rate
    package private(set) var isPaused = false
    private var sample: LiveSample?
    /// What rates are told from.
    private var base: LiveSample?

    /// The least time that a rate is taken over, in seconds.
    private static let leastTime = 0.9

    /// A view of nothing yet.
    ///
    /// - Parameters:
    ///   - title: What is watched.
    ///   - keepsPlaces: Whether samples can have the places that exits come from.
    package init(title: String, keepsPlaces: Bool = false) {
        self.title = ForeignText.visible(title)
        self.keepsPlaces = keepsPlaces
    }

    /// Whether a sample at some moment, in seconds since the start, would be taken.
    package func isDue(at elapsed: Double) -> Bool {
        guard !isPaused else { return false }
        guard let sample else { return true }
        return elapsed - sample.elapsed >= Self.leastTime || grouping.needsPlaces && sample.places == nil
    }

    /// Takes what the counters say now, unless the view is paused or the last is too young for a rate.
    ///
    /// - Returns: Whether there is something new to be drawn.
    package mutating func take(_ new: LiveSample) -> Bool {
        guard isDue(at: new.elapsed) else { return false }
        base = sample
        sample = new
        return true
    }

    /// Does what a key asks for.
    package mutating func press(_ key: UInt8) -> Action? {
        switch key {
        case UInt8(ascii: "k"): grouping = .kind
        case UInt8(ascii: "v"): grouping = .vcpu
        case UInt8(ascii: "d") where keepsPlaces: grouping = .detail
        case UInt8(ascii: "c") where keepsPlaces: grouping = .code
        case UInt8(ascii: "s"):
            let all = Order.allCases
            order = all[((all.firstIndex(of: order) ?? 0) + 1) % all.count]
        case UInt8(ascii: "p"), UInt8(ascii: " "): isPaused.toggle()
        // Ctrl-C: in raw mode it is a key like any other.
        case UInt8(ascii: "q"), 0x03: return .quit
        default: return nil
        }
        return .redraw
    }

    private struct Line {
        let name: String
        var sdm: UInt32?
        var settler = ""
        /// What the exits were about, or their code.
        var subject = ""
        var exits: UInt64 = 0
        var nanoseconds = 0.0
        var rate = 0.0

        /// What settles ties: no two lines have the same.
        var id: String { "\(name)\0\(settler)\0\(subject)" }
        var mean: Double { exits == 0 ? 0 : nanoseconds / Double(exits) }
    }

    /// The sums of a sample, by what lines stand for.
    private func sums(_ sample: LiveSample) -> [String: Line] {
        switch grouping {
        case .kind:
            sums(sample.rows) { row in
                (row.settler.rawValue + row.name, Line(name: row.name, sdm: row.sdm, settler: row.settler.rawValue))
            }
        case .vcpu: sums(sample.rows) { row in ("\(row.vcpu)", Line(name: "vCPU \(row.vcpu)")) }
        case .detail: sums(sample.places.map(PlaceSum.details) ?? [])
        case .code: sums(sample.places.map(PlaceSum.code) ?? [])
        }
    }

    private func sums(_ rows: [LiveSample.Row], _ line: (LiveSample.Row) -> (String, Line)) -> [String: Line] {
        var lines: [String: Line] = [:]
        for row in rows {
            let (key, new) = line(row)
            lines[key, default: new].exits &+= row.exits
            lines[key, default: new].nanoseconds += row.nanoseconds
        }
        return lines
    }

    private func sums(_ places: [PlaceSum]) -> [String: Line] {
        Dictionary(
            places.map { sum in
                let line = Line(
                    name: sum.name, subject: ForeignText.visible(sum.subject), exits: sum.exits,
                    nanoseconds: Double(sum.nanoseconds))
                return (sum.name + "\0" + sum.subject, line)
            },
            uniquingKeysWith: { one, _ in one })
    }

    private var lines: [Line] {
        guard let sample else { return [] }
        // A sample without what is shown is none.
        let base = grouping.needsPlaces && base?.places == nil ? nil : base
        let before = base.map(sums) ?? [:]
        let time = sample.elapsed - (base?.elapsed ?? 0)
        let lines = sums(sample).map { key, line in
            var line = line
            let earlier = before[key]?.exits ?? 0
            // An exit in progress counts as KVM's until it comes out, so that a number may fall by it.
            line.rate = time > 0 && line.exits > earlier ? Double(line.exits &- earlier) / time : 0
            return line
        }
        return lines.sorted { one, other in
            switch order {
            case .rate: (one.rate, one.exits, other.id) > (other.rate, other.exits, one.id)
            case .exits: (one.exits, other.id) > (other.exits, one.id)
            case .time: (one.nanoseconds, other.id) > (other.nanoseconds, one.id)
            case .mean: (one.mean, other.id) > (other.mean, one.id)
            case .name: one.id < other.id
            }
        }
    }

    /// The lines of a screen, at most as many as it has, none longer than it is wide.
    package func screen(width: Int, height: Int) -> [String] {
        let lines = lines
        let exits = lines.reduce(0) { $0 &+ $1.exits }
        let rate = lines.reduce(0) { $0 + $1.rate }
        // The numbers first: a path may be longer than the screen is wide.
        let head =
            "\(HumanNumber.fixed(sample?.elapsed ?? 0, digits: 1)) s  \(HumanNumber.count(exits)) exits  "
            + "\(HumanNumber.count(rate))/s  \(title)"
        let pause = isPaused ? "PAUSED, [p] goes on" : "[p]ause"
        let keys =
            "[k]inds  \(keepsPlaces ? "[d]etails  [c]ode  " : "")[v]CPUs  [s]ort: \(order.title)  \(pause)  [q]uit"
        let table = grouping.needsPlaces ? placesTable(lines) : table(lines, width: width)
        let all = [head, keys, ""] + table
        return all.prefix(max(height, 0)).map { String($0.prefix(max(width, 0))) }
    }

    private func table(_ lines: [Line], width: Int) -> [String] {
        let total = lines.reduce(0) { $0 + $1.nanoseconds }
        var table = TextTable([.left, .right, .left] + Array(repeating: .right, count: 5))
        table.add([grouping == .kind ? "exit" : "vCPU", "SDM", "by", "exits", "exits/s", "share", "mean", "time"])
        for line in lines {
            table.add(
                [line.name, line.sdm.map(String.init) ?? "", line.settler] + Self.numbers(line, ofNanoseconds: total))
        }
        return zip(table.lines, [0] + lines.map { total > 0 ? $0.nanoseconds / total : 0 }).map { text, share in
            // A wide screen has room for the share as a bar.
            let room = width - Self.barStart - 1
            guard room > 0, share > 0 else { return text }
            let padding = String(repeating: " ", count: max(0, Self.barStart - text.count))
            return text + padding + String(repeating: "#", count: Int((share * Double(room)).rounded()))
        }
    }

    /// The lines with what may be long at the end.
    private func placesTable(_ lines: [Line]) -> [String] {
        let total = lines.reduce(0) { $0 + $1.nanoseconds }
        var table = TextTable(Array(repeating: .right, count: 5) + [.left, .left])
        table.add(["exits", "exits/s", "share", "mean", "time", "exit", grouping == .code ? "code" : "about"])
        for line in lines { table.add(Self.numbers(line, ofNanoseconds: total) + [line.name, line.subject]) }
        return table.lines
    }

    /// The cells of a line's numbers: exits, exits a second, share of the time, mean, time.
    private static func numbers(_ line: Line, ofNanoseconds total: Double) -> [String] {
        [
            line.exits <= TextReport.maximumExactCount ? String(line.exits) : HumanNumber.count(line.exits),
            HumanNumber.count(line.rate.rounded()), total > 0 ? share(line.nanoseconds / total) : "-",
            HumanNumber.seconds(line.mean / 1e9), HumanNumber.seconds(line.nanoseconds / 1e9),
        ]
    }

    /// The column where bars start: the table has up to 80.
    private static let barStart = 82

    private static func share(_ part: Double) -> String { HumanNumber.fixed(part * 100, digits: 1) + "%" }
}

/// What came in an interval of a run, as one line of JSON. `Schemas/run-interval.schema.json` describes it.
package struct RunIntervalRecord: Encodable {
    private struct Kind: Encodable {
        let kind: String
        let settledBy: String
        let exits: UInt64
        let nanoseconds: UInt64

        private enum CodingKeys: String, CodingKey {
            case kind, exits
            case settledBy = "settled_by"
            case nanoseconds = "ns"
        }
    }

    private let elapsed: UInt64
    private let interval: UInt64
    private let exits: UInt64
    private let kinds: [Kind]

    /// The exits from one moment to another.
    ///
    /// - Parameter earlier: The first moment; nil for the start of the run.
    package init(from earlier: LiveSample?, to later: LiveSample) {
        func nanoseconds(_ value: Double) -> UInt64 { UInt64(exactly: value.rounded()) ?? 0 }
        elapsed = nanoseconds(later.elapsed * 1e9)
        interval = nanoseconds((later.elapsed - (earlier?.elapsed ?? 0)) * 1e9)
        var sums: [(name: String, settler: ExitBreakdown.Settler, exits: UInt64, time: Double)] = []
        func add(_ rows: [LiveSample.Row], isEarlier: Bool) {
            for row in rows {
                if !sums.contains(where: { $0.name == row.name && $0.settler == row.settler }) {
                    sums.append((row.name, row.settler, 0, 0))
                }
                guard let index = sums.firstIndex(where: { $0.name == row.name && $0.settler == row.settler })
                else { continue }
                sums[index].exits = isEarlier ? sums[index].exits &- row.exits : sums[index].exits &+ row.exits
                sums[index].time += isEarlier ? -row.nanoseconds : row.nanoseconds
            }
        }
        add(later.rows, isEarlier: false)
        add(earlier?.rows ?? [], isEarlier: true)
        // An exit in progress counts as KVM's until it comes out: then there is one less.
        kinds = sums.filter { Int64(bitPattern: $0.exits) > 0 }.map { sum in
            Kind(
                kind: sum.name, settledBy: sum.settler == .kvm ? "kvm" : "minivmm", exits: sum.exits,
                nanoseconds: nanoseconds(max(sum.time, 0)))
        }
        exits = kinds.reduce(0) { $0 &+ $1.exits }
    }

    private enum CodingKeys: String, CodingKey {
        case elapsed = "elapsed_ns"
        case interval = "interval_ns"
        case exits, kinds
    }

    /// The record as one line, with sorted keys and a newline at the end.
    package func line() throws -> [UInt8] { try JSONText.line(self) }
}
