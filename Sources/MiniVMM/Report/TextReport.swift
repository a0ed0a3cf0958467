/// A run's statistics as a table for a terminal of 80 columns.
public struct TextReport: Sendable {
    private let outcome: RunOutcome
    private let perVCPU: Bool

    /// A report of a run.
    ///
    /// - Parameter perVCPU: Whether each vCPU gets a table of its own besides the one of the totals.
    public init(_ outcome: RunOutcome, perVCPU: Bool = false) {
        self.outcome = outcome
        self.perVCPU = perVCPU
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        var lines = table(outcome.statistics.total)
        if perVCPU {
            for vcpu in outcome.statistics.vcpus { lines += ["", "vCPU \(vcpu.vcpu ?? 0):"] + table(vcpu) }
        }
        lines.append("")
        lines += notes
        lines.append(summary)
        return lines.map { $0 + "\n" }.joined()
    }

    // MARK: The table

    private func table(_ statistics: VCPUStatistics) -> [String] {
        var table = TextTable([.left] + Array(repeating: .right, count: 9))
        table.add(["exit", "SDM", "count", "share", "cycles", "mean", "p50", "p99", "max", "time"])
        let kinds = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }
        for kind in kinds { table.add(row(kind, statistics)) }
        table.add(totalRow(statistics))
        if statistics.internalExits > 0 { table.add(internalRow(statistics)) }
        return table.lines
    }

    private func row(_ kind: KindStatistics, _ statistics: VCPUStatistics) -> [String] {
        [
            kind.kind.name,
            kind.kind.basicExitReason.map { String($0.rawValue) } ?? "-",
            String(kind.exits),
            HumanNumber.share(kind.serviceCycles, of: statistics.serviceCycles),
            HumanNumber.count(kind.serviceCycles),
            HumanNumber.count(kind.mean),
            HumanNumber.count(kind.p50),
            HumanNumber.count(kind.p99),
            HumanNumber.count(kind.max),
            time(kind.serviceCycles),
        ]
    }

    private func totalRow(_ statistics: VCPUStatistics) -> [String] {
        let mean = statistics.exits == 0 ? 0 : Double(statistics.serviceCycles) / Double(statistics.exits)
        return [
            "total", "", String(statistics.exits), statistics.exits == 0 ? "-" : "100%",
            HumanNumber.count(statistics.serviceCycles), HumanNumber.count(mean), "", "", "",
            time(statistics.serviceCycles),
        ]
    }

    /// What MiniVMM did for itself, which is in no other row.
    private func internalRow(_ statistics: VCPUStatistics) -> [String] {
        let mean = Double(statistics.internalCycles) / Double(statistics.internalExits)
        return [
            "(own steps)", "", String(statistics.internalExits), "", HumanNumber.count(statistics.internalCycles),
            HumanNumber.count(mean), "", "", "", time(statistics.internalCycles),
        ]
    }

    private func time(_ cycles: UInt64) -> String {
        guard let tscKHz = outcome.tscKHz else { return "-" }
        return HumanNumber.seconds(Double(cycles) / (Double(tscKHz) * 1000))
    }

    // MARK: The words below it

    private var notes: [String] {
        var notes: [String] = []
        if !outcome.unclaimedPorts.isEmpty {
            notes.append("Ports that nobody claims: " + list(outcome.unclaimedPorts, digits: 1))
        }
        if !outcome.unclaimedPages.isEmpty {
            notes.append("Addresses that nobody claims: " + list(outcome.unclaimedPages, digits: 5))
        }
        return notes
    }

    /// The most entries that a line of notes names.
    private static let greatestListLength = 6

    private func list(_ addresses: [UnclaimedAddress], digits: Int) -> String {
        let named = addresses.prefix(Self.greatestListLength).map { address in
            let counts = [(address.reads, "r"), (address.writes, "w")].filter { $0.0 > 0 }
                .map { HumanNumber.count($0.0) + $0.1 }
            return "0x\(Hex.digits(address.address, digits)) (\(counts.joined(separator: " ")))"
        }
        let rest = addresses.count - named.count
        return named.joined(separator: ", ") + (rest > 0 ? ", and \(rest) more" : "")
    }

    /// The run in a sentence or two.
    private var summary: String {
        let total = outcome.statistics.total
        let (seconds, attoseconds) = outcome.duration.components
        let duration = HumanNumber.seconds(Double(seconds) + Double(attoseconds) / 1e18)
        let exits = "\(total.exits) \(total.exits == 1 ? "exit" : "exits")"
        var text = "\(exits) in \(duration); \(outcome.ending.summary)."
        let own = total.serviceCycles &+ total.internalCycles
        let all = own &+ total.runCycles
        if all > 0 {
            let ownShare = HumanNumber.share(own, of: all)
            let runShare = HumanNumber.share(total.runCycles, of: all)
            text += "\nTime: \(ownShare) in MiniVMM, \(runShare) in KVM_RUN. CPUID trap: \(outcome.trap.rawValue)."
        }
        return text
    }
}
