import Counters
public import Host
import KVM
public import MiniVMM
import Report

/// What to do about what a host lacks, in the words of the program that says so.
public struct DoctorRemedies: Sendable {
    /// What to do about an error, in a sentence.
    public let problem: @Sendable (any DiagnosticError) -> String
    /// What to do where Linux guests do not boot; nil when nothing is to be done.
    public let linux: @Sendable (LinuxSupport) -> String?

    /// The given remedies.
    ///
    /// - Parameters:
    ///   - problem: What to do about an error, in a sentence.
    ///   - linux: What to do where Linux guests do not boot; nil when nothing is to be done.
    public init(
        problem: @escaping @Sendable (any DiagnosticError) -> String,
        linux: @escaping @Sendable (LinuxSupport) -> String?
    ) {
        self.problem = problem
        self.linux = linux
    }
}

/// What this host offers, as text.
public struct DoctorReport: Sendable {
    private let diagnosis: HostDiagnosis
    private let remedies: DoctorRemedies

    /// A report of a diagnosis.
    ///
    /// - Parameters:
    ///   - diagnosis: What was found.
    ///   - remedies: What to do about it.
    public init(_ diagnosis: HostDiagnosis, remedies: DoctorRemedies) {
        self.diagnosis = diagnosis
        self.remedies = remedies
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
            lines += ["", "GDB, for code in ring 0"] + Self.debugger(findings)
            lines += ["", "every exit by reason, by KVM's tracepoints"] + findings.exitCounting.lines
        }
        lines += [""] + verdict.flatMap { TextLines.wrapped($0) }
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
            return TextLines.wrapped("could not be tried: \(error.explanation)", first: "  ", rest: "  ")
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

    /// By what GDB's points stop a guest, the first choice first.
    private static func debugger(_ findings: HostDiagnosis.Findings) -> [String] {
        guard let support = findings.debugger else { return ["  could not be tried"] }
        func means(_ all: [(String, Bool)]) -> String {
            let present = all.filter(\.1).map(\.0)
            return present.isEmpty ? "not to be had" : present.joined(separator: ", ")
        }
        let (registers, steps) = ("debug registers", ("single steps", support.steps))
        var table = TextTable([.left, .left])
        table.add([
            "  break",
            means([
                ("INT3", support.softwareBreakpoints), (registers, support.breakpoints), ("OUT", support.patches),
                steps,
            ]),
        ])
        table.add(["  hbreak", means([(registers, support.breakpoints), steps])])
        table.add(["  watch", means([(registers, support.watchpoints), steps])])
        table.add(["  rwatch, awatch", means([(registers, support.watchpoints)])])
        return table.lines
    }

    /// Whether Linux guests boot.
    private var linux: [String] {
        guard case .success(let findings) = diagnosis.kvm, let linux = findings.linux else { return [] }
        return [linux.verdict] + (remedies.linux(linux).map { [$0] } ?? [])
    }

    /// Whether every exit can be counted.
    private var exitCounting: [String] {
        guard case .success(let findings) = diagnosis.kvm else { return [] }
        return findings.exitCounting.verdict(remedies)
    }

    private var verdict: [String] {
        if diagnosis.isUsable { return ["MiniVMM runs guests here."] + linux + exitCounting + diagnosis.hints }
        return diagnosis.problems.flatMap { [$0.explanation, remedies.problem($0)] }
    }
}

/// What this host offers, as the JSON object that `minivmm doctor --json` prints.
public struct DoctorRecord: Encodable, Sendable {
    private let diagnosis: HostDiagnosis
    private let remedies: DoctorRemedies

    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static let schemaVersion = 1

    /// The record of a diagnosis.
    ///
    /// - Parameters:
    ///   - diagnosis: What was found.
    ///   - remedies: What to do about it.
    public init(_ diagnosis: HostDiagnosis, remedies: DoctorRemedies) {
        self.diagnosis = diagnosis
        self.remedies = remedies
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] { try JSONText.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema
        case usable
        case device
        case apiVersion = "api_version"
        case modules
        case kernel
        case processor
        case tscKHz = "tsc_khz"
        case invariantTSC = "tsc_invariant"
        case capabilities
        case traps = "cpuid_traps"
        case debugger
        case linux = "linux_guests"
        case exitCounting = "tracepoints"
        case problems
        case hints
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schemaVersion, forKey: .schema)
        try container.encode(diagnosis.isUsable, forKey: .usable)
        try container.encode(diagnosis.devicePath, forKey: .device)
        try container.encode(diagnosis.modules, forKey: .modules)
        try container.encode(diagnosis.kernelRelease, forKey: .kernel)
        try container.encode(diagnosis.processor, forKey: .processor)
        try container.encode(diagnosis.hasInvariantTSC, forKey: .invariantTSC)
        try container.encode(diagnosis.hints, forKey: .hints)
        try container.encode(
            diagnosis.problems.map { ["explanation": $0.explanation, "remedy": remedies.problem($0)] },
            forKey: .problems)
        let findings = try? diagnosis.kvm.get()
        try container.encode(findings?.apiVersion, forKey: .apiVersion)
        try container.encode(findings?.tscKHz, forKey: .tscKHz)
        try container.encode(
            findings.map { Dictionary(uniqueKeysWithValues: $0.capabilities.map { ($0.capability.name, $0.value) }) },
            forKey: .capabilities)
        let traps = try? findings?.traps.get()
        try container.encode(
            traps.map { traps in
                ["debug": traps.debug, "patch": traps.patch, "step": traps.step, "fault": findings?.faultTrap ?? false]
            }, forKey: .traps)
        try container.encode(
            findings?.debugger.map { support in
                [
                    "breakpoint_registers": support.breakpoints, "watchpoint_registers": support.watchpoints,
                    "software_breakpoints": support.softwareBreakpoints, "patches": support.patches,
                    "steps": support.steps,
                ]
            }, forKey: .debugger)
        try container.encode(findings?.linux.map(LinuxSupportRecord.init), forKey: .linux)
        try container.encode(
            findings.map { ExitCountingRecord($0.exitCounting, remedies) }, forKey: .exitCounting)
    }
}

/// Whether Linux guests boot, in the JSON format.
struct LinuxSupportRecord: Encodable {
    private let support: LinuxSupport

    init(_ support: LinuxSupport) {
        self.support = support
    }

    private enum CodingKeys: String, CodingKey {
        case boot
        case obstacle
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(support.isComplete, forKey: .boot)
        // Null where there is none, as everywhere in the format.
        try container.encode(support.obstacle, forKey: .obstacle)
    }
}
