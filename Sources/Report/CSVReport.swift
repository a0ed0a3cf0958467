public import Counters

/// A run's statistics as comma-separated values: a line for each kind, over all vCPUs and for each of them.
///
/// Source: RFC 4180, but for the line ends, which are newlines. No value needs quotes.
public struct CSVReport: Sendable {
    private let outcome: RunOutcome

    /// A report of a run.
    public init(_ outcome: RunOutcome) {
        self.outcome = outcome
    }

    /// The whole report. Cycles are those of the host's time-stamp counter; `vcpu` is a number or `all`.
    public var text: String {
        let header = "vcpu,kind,sdm,exits,service_cycles,mean_cycles,p50_cycles,p99_cycles,max_cycles"
        let tables = [outcome.statistics.total] + outcome.statistics.vcpus
        let rows = tables.flatMap { table in table.kinds.map { Self.row($0, vcpu: table.vcpu) } }
        return ([header] + rows).map { $0 + "\n" }.joined()
    }

    private static func row(_ kind: KindStatistics, vcpu: Int?) -> String {
        [
            vcpu.map(String.init) ?? "all", kind.kind.name, kind.kind.basicExitReason.map { String($0.rawValue) } ?? "",
            String(kind.exits), String(kind.serviceCycles), HumanNumber.fixed(kind.mean, digits: 1), String(kind.p50),
            String(kind.p99), String(kind.max),
        ].joined(separator: ",")
    }
}
