/// The table.
extension TextReport {
    /// The heads of the columns. `share` is the share of the cycles.
    static let columns = ["exit", "SDM", "count", "share", "cycles", "mean", "p50", "p99", "max", "time"]

    /// The kinds in the order of what they cost, the sum, and what MiniVMM did for itself. Times are in cycles, but for
    /// the last column's.
    func table(_ statistics: VCPUStatistics) -> [String] {
        var table = TextTable([.left] + Array(repeating: .right, count: 9), style: style)
        table.add(Self.columns, as: .heading)
        let kinds = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }
        for kind in kinds {
            let isHot = kind.serviceCycles > statistics.serviceCycles / 2
            table.add(row(kind, statistics), as: isHot ? .hot : .body)
        }
        table.add(totalRow(statistics), as: .strong)
        if statistics.internalExits > 0 { table.add(internalRow(statistics), as: .aside) }
        return table.lines
    }

    /// A kind's cells.
    func row(_ kind: KindStatistics, _ statistics: VCPUStatistics) -> [String] {
        [
            kind.kind.name,
            kind.kind.basicExitReason.map { String($0.rawValue) } ?? "-",
            count(kind.exits),
            HumanNumber.share(kind.serviceCycles, of: statistics.serviceCycles),
            HumanNumber.count(kind.serviceCycles),
            HumanNumber.count(kind.mean),
            HumanNumber.count(kind.p50),
            HumanNumber.count(kind.p99),
            HumanNumber.count(kind.max),
            time(kind.serviceCycles),
        ]
    }

    /// The sum's cells.
    func totalRow(_ statistics: VCPUStatistics) -> [String] {
        let mean = statistics.exits == 0 ? 0 : Double(statistics.serviceCycles) / Double(statistics.exits)
        return [
            "total", "", count(statistics.exits), statistics.exits == 0 ? "-" : "100%",
            HumanNumber.count(statistics.serviceCycles), HumanNumber.count(mean), "", "", "",
            time(statistics.serviceCycles),
        ]
    }

    /// What MiniVMM did for itself, which is in no other row.
    private func internalRow(_ statistics: VCPUStatistics) -> [String] {
        let mean = Double(statistics.internalCycles) / Double(statistics.internalExits)
        return [
            "(own steps)", "", count(statistics.internalExits), "", HumanNumber.count(statistics.internalCycles),
            HumanNumber.count(mean), "", "", "", time(statistics.internalCycles),
        ]
    }

    /// The greatest number of exits that the table shows exactly, so that its widest row has 80 columns.
    private static let greatestExactCount: UInt64 = 99_999_999

    /// A number of exits: exact as far as there is room.
    private func count(_ exits: UInt64) -> String {
        exits <= Self.greatestExactCount ? String(exits) : HumanNumber.count(exits)
    }
}
