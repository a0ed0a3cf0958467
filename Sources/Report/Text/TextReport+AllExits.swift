import Counters

/// The table of every exit, whoever settled it.
extension TextReport {
    /// The heads of the columns. `share` is the share of the time, and the columns after it are times.
    package static let allExitsColumns = [
        "exit", "SDM", "by", "count", "share", "in KVM", "in VMM", "p50", "p99", "max",
    ]

    /// The exits in the order of what they cost, the sum, the sleep, and what MiniVMM did for itself.
    func allExitsTable(_ breakdown: ExitBreakdown, _ statistics: VCPUStatistics) -> [String] {
        var table = Self.makeAllExitsTable(style)
        for row in breakdown.rows {
            let isHot = row.nanoseconds > breakdown.nanoseconds / 2
            table.add(cells(row, of: breakdown.nanoseconds), as: isHot ? .hot : .body)
        }
        table.add(allExitsTotal(breakdown), as: .strong)
        for row in allExitsAsides(breakdown, statistics) { table.add(row, as: .aside) }
        return table.lines
    }

    /// What is in no sum: the sleep, and what MiniVMM did for itself.
    func allExitsAsides(_ breakdown: ExitBreakdown, _ statistics: VCPUStatistics) -> [[String]] {
        var rows: [[String]] = []
        if breakdown.haltedNanoseconds > 0 {
            rows.append(Self.asleepCells(breakdown.haltedNanoseconds))
        }
        if statistics.internalExits > 0 {
            rows.append([
                "(own steps)", "", "", count(statistics.internalExits), "", "", time(statistics.internalCycles), "", "",
                "",
            ])
        }
        return rows
    }

    /// A table of these columns without rows.
    package static func makeAllExitsTable(_ style: TextStyle) -> TextTable {
        var table = TextTable([.left, .right, .left] + Array(repeating: .right, count: 7), style: style)
        table.add(allExitsColumns, as: .heading)
        return table
    }

    /// The cells of what vCPUs slept, in nanoseconds.
    package static func asleepCells(_ nanoseconds: UInt64) -> [String] {
        ["(asleep)", "", "", "", "", time(Double(nanoseconds)), "", "", "", ""]
    }

    /// A row's cells.
    package func cells(_ row: ExitBreakdown.Row, of total: Double) -> [String] {
        let time = Self.time(row.nanoseconds)
        return [
            row.name, row.type.map { String($0.rawValue) } ?? "-", row.settler.rawValue, count(row.exits),
            HumanNumber.share(UInt64(row.nanoseconds), of: UInt64(total)), row.settler == .kvm ? time : "",
            row.settler == .miniVMM ? time : "", Self.time(row.p50), Self.time(row.p99), Self.time(row.maximum),
        ]
    }

    /// The sum's cells.
    package func allExitsTotal(_ breakdown: ExitBreakdown) -> [String] {
        [
            "total", "", "", count(breakdown.exits), breakdown.nanoseconds > 0 ? "100%" : "-",
            Self.time(breakdown.nanoseconds(by: .kvm)), Self.time(breakdown.nanoseconds(by: .miniVMM)), "", "", "",
        ]
    }

    private static func time(_ nanoseconds: Double) -> String { HumanNumber.seconds(nanoseconds / 1e9) }

    /// How many exits KVM settled.
    func settled(_ breakdown: ExitBreakdown) -> [String] {
        let (kvm, own) = (breakdown.exits(by: .kvm), breakdown.exits(by: .miniVMM))
        let share = HumanNumber.share(kvm, of: kvm &+ own)
        return ["KVM settled \(kvm) of them itself (\(share)); \(own) came out to MiniVMM (by VMM)."]
    }

    /// KVM's own count against the tracepoints'.
    var check: [String] {
        guard let kernel = outcome.kernelSettled, let count = kernel.kernelCount else { return [] }
        let seen = kernel.hardwareExits
        let carried = kernel.rows.reduce(0) { $0 &+ $1.carriedExits }
        var lines = [
            count == seen
                ? "Check: KVM's own count is \(count) exits of the processor, and so is the tracepoints'."
                : "Check: KVM's own count is \(count) exits of the processor, the tracepoints' \(seen)."
        ]
        if carried > 0 {
            lines.append("\(carried) CPUIDs were two of these each: the fault, and the exit that the trap made of it.")
        }
        return lines
    }

    /// Why not every exit was counted, where that was wanted if it works.
    var narrowScope: [String] {
        guard let reason = outcome.narrowScopeReason else { return [] }
        return ["Counted: the exits that reach MiniVMM. \(reason)" + (advice.map { " " + $0 } ?? "")]
    }
}
