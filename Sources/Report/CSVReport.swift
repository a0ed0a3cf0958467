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

    /// The whole report. Cycles are those of the host's time-stamp counter; `vcpu` is a number or `all`; `settled_by` is
    /// `minivmm`, or `kvm` where every exit was counted. `own_steps` are exits that MiniVMM caused itself.
    public var text: String {
        let header = "vcpu,kind,sdm,exits,service_cycles,mean_cycles,p50_cycles,p99_cycles,max_cycles,settled_by"
        let tables = [outcome.statistics.total] + outcome.statistics.vcpus
        let rows = tables.flatMap { table in
            table.kinds.map { Self.row($0, vcpu: table.vcpu) } + Self.ownSteps(table) + kernelRows(vcpu: table.vcpu)
        }
        return ([header] + rows).map { $0 + "\n" }.joined()
    }

    private static func row(_ kind: KindStatistics, vcpu: Int?) -> String {
        [
            vcpu.map(String.init) ?? "all", kind.kind.name, kind.kind.basicExitReason.map { String($0.rawValue) } ?? "",
            String(kind.exits), String(kind.serviceCycles), HumanNumber.fixed(kind.mean, digits: 1), String(kind.p50),
            String(kind.p99), String(kind.max), "minivmm",
        ].joined(separator: ",")
    }

    /// What MiniVMM did for itself, whose times are kept as a sum alone; no row where it did nothing.
    private static func ownSteps(_ table: VCPUStatistics) -> [String] {
        guard table.internalExits > 0 else { return [] }
        let mean = HumanNumber.fixed(Double(table.internalCycles) / Double(table.internalExits), digits: 1)
        let vcpu = table.vcpu.map(String.init) ?? "all"
        return ["\(vcpu),own_steps,,\(table.internalExits),\(table.internalCycles),\(mean),,,,minivmm"]
    }

    /// What KVM settled itself, of all vCPUs or of one; no row where that was not counted.
    private func kernelRows(vcpu: Int?) -> [String] {
        guard let kernel = outcome.kernelSettled else { return [] }
        return KernelSettledExits.Row.byReason(kernel.rows(ofVCPU: vcpu)).filter { $0.exits > 0 }.map { row in
            func cycles(_ nanoseconds: UInt64) -> String {
                HumanNumber.fixed(Double(nanoseconds) * kernel.cyclesPerNanosecond, digits: 0)
            }
            let mean = Double(row.nanoseconds) * kernel.cyclesPerNanosecond / Double(row.exits)
            // A name with a comma in it would need quotes.
            let name = row.name(isSVM: kernel.isSVM).replacing(",", with: "")
            return [
                vcpu.map(String.init) ?? "all", name, row.reason.map { String($0.rawValue) } ?? "", String(row.exits),
                cycles(row.nanoseconds), HumanNumber.fixed(mean, digits: 1), cycles(row.quantile(0.5)),
                cycles(row.quantile(0.99)), cycles(row.maximum), "kvm",
            ].joined(separator: ",")
        }
    }
}
