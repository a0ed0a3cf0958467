/// What this host offers, as text.
public struct DoctorReport: Sendable {
    private let diagnosis: HostDiagnosis

    /// A report of a diagnosis.
    public init(_ diagnosis: HostDiagnosis) {
        self.diagnosis = diagnosis
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        var table = TextTable([.left, .left])
        table.add(["device", device])
        table.add(["modules", diagnosis.modules.isEmpty ? "none" : diagnosis.modules.joined(separator: ", ")])
        table.add(["kernel", diagnosis.kernelRelease])
        table.add(["processor", diagnosis.processor ?? "unknown"])
        table.add(["TSC", timeStampCounter])
        var lines = table.lines
        if case .success(let findings) = diagnosis.kvm {
            lines += ["", "capabilities"] + Self.capabilities(findings)
            lines += ["", "CPUID traps for guests in ring 0"] + Self.traps(findings)
            let fault = findings.faultTrap ? "works" : "does not work"
            lines += ["", "CPUID trap for programs in ring 3, under Linux", "  fault  " + fault]
        }
        lines += [""] + verdict
        return lines.map { $0 + "\n" }.joined()
    }

    private var device: String {
        switch diagnosis.kvm {
        case .success(let findings): "\(diagnosis.devicePath), opens, API version \(findings.apiVersion)"
        case .failure: "\(diagnosis.devicePath), not usable"
        }
    }

    private var timeStampCounter: String {
        let invariant = diagnosis.hasInvariantTSC ? "invariant" : "not invariant"
        guard case .success(let findings) = diagnosis.kvm, let tscKHz = findings.tscKHz else {
            return "frequency unknown, \(invariant)"
        }
        return "\(HumanNumber.fixed(Double(tscKHz) / 1000, digits: 3)) MHz, \(invariant)"
    }

    private static func capabilities(_ findings: HostDiagnosis.Findings) -> [String] {
        var table = TextTable([.left, .left, .left])
        for finding in findings.capabilities {
            let value =
                switch finding.value {
                case 0: "no"
                case 1: "yes"
                default: String(finding.value)
                }
            table.add(["  " + finding.capability.name, value, finding.capability.use])
        }
        return table.lines
    }

    private static func traps(_ findings: HostDiagnosis.Findings) -> [String] {
        switch findings.traps {
        case .failure(let error):
            return ["  could not be tried: \(error.explanation)"]
        case .success(let traps):
            func word(_ works: Bool) -> String { works ? "works" : "does not work" }
            let few = traps.choice(siteCount: DebugRegisters.breakpointCount)
            let many = traps.choice(siteCount: DebugRegisters.breakpointCount + 1)
            var table = TextTable([.left, .left])
            table.add(["  debug", word(traps.debug)])
            table.add(["  patch", word(traps.patch)])
            table.add(["  step", word(traps.step)])
            let auto = few == many ? few.rawValue : "\(few.rawValue) up to four sites, else \(many.rawValue)"
            table.add(["  auto", auto])
            return table.lines
        }
    }

    /// Whether Linux guests boot.
    private var linux: [String] {
        guard case .success(let findings) = diagnosis.kvm, let linux = findings.linux else { return [] }
        return [linux.verdict] + (linux.remedy.map { [$0] } ?? [])
    }

    private var verdict: [String] {
        if diagnosis.isUsable { return ["MiniVMM runs guests here."] + linux + diagnosis.hints }
        return diagnosis.problems.flatMap { [$0.explanation, $0.remedy] }
    }
}
