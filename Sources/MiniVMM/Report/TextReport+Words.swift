/// The words below the table.
extension TextReport {
    /// What there is to say besides the numbers of exits: a line each.
    var notes: [String] {
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

    /// The run in words: how many exits in how long, what they mostly were, and where the time went.
    var summary: [String] {
        let total = outcome.statistics.total
        let exits = "\(total.exits) \(total.exits == 1 ? "exit" : "exits")"
        var lines = ["\(exits) in \(HumanNumber.spaced(seconds: outcome.seconds)); \(outcome.ending.summary)."]
        lines += extremes(total)
        let all = total.serviceCycles &+ total.internalCycles &+ total.runCycles
        if all > 0 {
            let own = total.serviceCycles &+ total.internalCycles
            lines.append(
                "Time: \(HumanNumber.share(own, of: all)) in MiniVMM, "
                    + "\(HumanNumber.share(total.runCycles, of: all)) in KVM_RUN. CPUID trap: \(outcome.trap.rawValue)."
            )
        }
        return lines
    }

    /// The most frequent and the most expensive kind.
    private func extremes(_ total: VCPUStatistics) -> [String] {
        guard let frequent = total.mostFrequent, let expensive = total.mostExpensive else { return [] }
        let exits = HumanNumber.share(frequent.exits, of: total.exits)
        let cycles = HumanNumber.share(expensive.serviceCycles, of: total.serviceCycles)
        if frequent.kind == expensive.kind {
            let kind = frequent.kind.name
            return ["Most frequent and most expensive: \(kind), \(exits) of exits and \(cycles) of cycles."]
        }
        return [
            "Most frequent: \(frequent.kind.name), \(exits) of exits. "
                + "Most expensive: \(expensive.kind.name), \(cycles) of cycles."
        ]
    }
}
