import Counters
import Host

/// Where exits come from: a flame graph, and tables by what they are about and by the guest's code.
struct PlacesSection {
    private let kept: ExitPlaces
    private let palette: PagePalette
    private let vcpuCount: Int
    /// All exits, those included whose places found no room.
    private let total: UInt64
    /// The stacks of the flame graph, those with most exits first.
    let stacks: [Stack]
    private let details: Table
    private let code: Table

    /// Exits with their frames in common.
    struct Stack {
        fileprivate(set) var frames: [String]
        let group: Int?
        let color: String
        /// The exits of each vCPU.
        fileprivate(set) var exits: [UInt64]
        /// Their sum.
        fileprivate(set) var total: UInt64
    }

    /// A table's rows, of all vCPUs and of each.
    private struct Table {
        let rows: [PlaceSum]
        /// By vCPU, then by the row's name and subject.
        let vcpus: [[PlaceSum.Key: PlaceSum]]
        /// All exits of each vCPU.
        let vcpuExits: [UInt64]
        /// The exits of the rows that are left out, and how many.
        let rest: (rows: Int, exits: UInt64)

        init(_ kept: ExitPlaces, _ vcpus: [ExitPlaces], limit: Int, _ sums: (ExitPlaces) -> [PlaceSum]) {
            let all = sums(kept)
            rows = Array(all.prefix(limit))
            rest = (all.count - rows.count, all.dropFirst(limit).reduce(0) { $0 &+ $1.exits })
            let shown = Set(rows.map(\.key))
            let each = vcpus.map(sums)
            vcpuExits = each.map { $0.reduce(0) { $0 &+ $1.exits } }
            self.vcpus = each.map { sums in
                Dictionary(uniqueKeysWithValues: sums.filter { shown.contains($0.key) }.map { ($0.key, $0) })
            }
        }
    }

    /// The most rows of a table, and stacks of the flame graph: what is left out is told in one row, and one stack for each
    /// kind. With many vCPUs there are fewer, because each vCPU has its own numbers.
    static let maximumRowCount = 500
    private static let maximumCellCount = 16_384

    static func limit(vcpus: Int) -> Int {
        min(maximumRowCount, max(20, maximumCellCount / max(vcpus, 1)))
    }

    /// - Parameter program: The name of the program that a place is in.
    init(_ kept: ExitPlaces, palette: PagePalette, vcpuCount: Int, program: (ExitPlaces.Place) -> String) {
        self.kept = kept
        self.palette = palette
        self.vcpuCount = vcpuCount
        total = kept.places.reduce(kept.lostExits &+ (kept.kernelLostExits ?? 0)) { $0 &+ $1.exits }
        let limit = Self.limit(vcpus: vcpuCount)
        let vcpus = vcpuCount > 1 ? (0..<vcpuCount).map { kept.places(ofVCPU: $0) } : []
        details = Table(kept, vcpus, limit: limit, PlaceSum.details)
        code = Table(kept, vcpus, limit: limit, PlaceSum.code)
        stacks = Self.stacks(kept, palette, vcpuCount, limit: limit, program)
    }

    private static func stacks(
        _ kept: ExitPlaces, _ palette: PagePalette, _ vcpuCount: Int, limit: Int,
        _ program: (ExitPlaces.Place) -> String
    ) -> [Stack] {
        func sum(_ stacks: some Sequence<Stack>) -> [Stack] {
            var sums: [[String]: Stack] = [:]
            for stack in stacks {
                guard var sum = sums[stack.frames] else {
                    sums[stack.frames] = stack
                    continue
                }
                sum.exits = zip(sum.exits, stack.exits).map { $0 &+ $1 }
                sum.total &+= stack.total
                sums[stack.frames] = sum
            }
            return sums.values.sorted {
                $0.total == $1.total ? $0.frames.lexicographicallyPrecedes($1.frames) : $0.total > $1.total
            }
        }
        let all = sum(
            kept.places.map { place in
                var exits = [UInt64](repeating: 0, count: vcpuCount)
                if exits.indices.contains(place.vcpu) { exits[place.vcpu] = place.exits }
                return Stack(
                    frames: ExitProfile.frames(of: place, kept, program: program),
                    group: palette.groups.number(of: place.exit), color: palette.colorClass(of: place.exit),
                    exits: exits, total: place.exits)
            })
        let rest = all.dropFirst(limit).map { stack in
            var stack = stack
            let name = stack.group.map { palette.groups.names[$0] } ?? ExitGroups.other
            stack.frames = ["(rare places)", name]
            return stack
        }
        return Array(all.prefix(limit)) + sum(rest)
    }

    // MARK: The page

    var markup: Markup {
        let graph = FlameGraph(
            stacks.map { .init(frames: $0.frames, weight: $0.total, colorClass: $0.color) })
        let lost = kept.lostExits &+ (kept.kernelLostExits ?? 0)
        let note: Markup = lost > 0 ? "<p>\(lost) exits came from places that found no room.</p>\n" : ""
        return """
            <p>A frame is as wide as the exits that come from it: program, function or instruction, and exit.</p>
            \(graph.markup)\(note)<h3>By what exits are about</h3>
            \(table(details, "about", "details"))<h3>By the guest's code</h3>
            \(table(code, kept.hasFunctions ? "function" : "instruction", "code"))
            """
    }

    private func cells(_ sum: PlaceSum, of all: UInt64) -> [String] {
        [String(sum.exits), HumanNumber.share(sum.exits, of: all)]
            + [sum.nanoseconds, sum.quantile(0.5), sum.quantile(0.99)].map {
                HumanNumber.seconds(Double($0) / 1e9)
            }
    }

    private func table(_ table: Table, _ subject: String, _ name: String) -> Markup {
        let rows = table.rows.map { sum in
            Markup.Row(
                [
                    Markup(sum.subject.isEmpty ? "-" : sum.subject),
                    ColorPalette.label(sum.name, palette.colorClass(of: sum.exit)),
                ] + cells(sum, of: total).map { Markup($0) },
                group: palette.groups.number(of: sum.exit))
        }
        let footer =
            table.rest.rows > 0
            ? ["and \(table.rest.rows) more", "", String(table.rest.exits)]
                + [HumanNumber.share(table.rest.exits, of: total), "", "", ""] : nil
        return .table(
            [subject, "exit", "count", "share", "time", "p50", "p99"], rows, footer: footer, wordColumns: 2,
            places: name)
    }

    /// The cells of each vCPU for each row of a table, from its count on; nothing for rows without an exit of that vCPU,
    /// and none at all where there is one vCPU.
    var vcpuCells: [String: [[String: [String]]]] {
        func cells(_ table: Table) -> [[String: [String]]] {
            table.rows.map { row in
                var result: [String: [String]] = [:]
                for (vcpu, sums) in table.vcpus.enumerated() {
                    if let sum = sums[row.key] { result[String(vcpu)] = self.cells(sum, of: table.vcpuExits[vcpu]) }
                }
                return result
            }
        }
        return vcpuCount > 1 ? ["details": cells(details), "code": cells(code)] : [:]
    }
}
