public import Host
import Report

/// The VMX capability MSRs as text.
public struct VMXReport: Sendable {
    private let diagnosis: VMXDiagnosis
    private let remedy: @Sendable (any DiagnosticError) -> String

    /// A report of a diagnosis.
    ///
    /// - Parameters:
    ///   - diagnosis: What was found.
    ///   - remedy: What to do about an error, in a sentence.
    public init(_ diagnosis: VMXDiagnosis, remedy: @escaping @Sendable (any DiagnosticError) -> String) {
        self.diagnosis = diagnosis
        self.remedy = remedy
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        var table = TextTable([.left, .left])
        table.add(["processor", (diagnosis.processorName ?? "unknown") + ", " + diagnosis.vendor])
        var lines = table.lines
        let sources = diagnosis.sources
        for section in VMXTable(sources.map(\.capabilities)).sections {
            lines += [""] + Self.lines(of: section, sources.map(\.name))
        }
        if let svm = diagnosis.svm { lines += [""] + Self.lines(of: svm) }
        if !diagnosis.obstacles.isEmpty { lines.append("") }
        for obstacle in diagnosis.obstacles {
            let remedy = remedy(obstacle)
            lines += remedy.isEmpty ? [obstacle.explanation] : [obstacle.explanation, remedy]
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func lines(of section: VMXTable.Section, _ sources: [String]) -> [String] {
        var lines = [section.title]
        for register in section.registers {
            let values = zip(sources, register.values).map { source, value in
                "\(source) \(value.map(hexadecimal) ?? "none")"
            }
            let number = String(register.register.rawValue, radix: 16)
            lines.append("  \(register.register.name), 0x\(number): " + values.joined(separator: ", "))
        }
        lines += rows(of: section, sources)
        func list(_ bits: [Int]) -> String { bits.map(String.init).joined(separator: ", ") }
        if !section.flexibleOthers.isEmpty {
            lines.append("  others that can be set and cleared: " + list(section.flexibleOthers))
        }
        if !section.fixedOthers.isEmpty {
            lines.append("  others that can be set and not cleared: " + list(section.fixedOthers))
        }
        return lines
    }

    /// The rows with their heads.
    private static func rows(of section: VMXTable.Section, _ sources: [String]) -> [String] {
        guard case .control? = section.rows.first else {
            var table = TextTable([.left, .left] + sources.map { _ in .left })
            table.add(["  bits", ""] + sources)
            for case .fact(let bits, let name, let readings) in section.rows {
                let place = bits.count == 1 ? "\(bits.lowerBound)" : "\(bits.upperBound):\(bits.lowerBound)"
                table.add(["  " + place, name] + readings.map { $0 ?? "-" })
            }
            return table.lines
        }
        func word(_ isAllowed: Bool) -> String { isAllowed ? "yes" : "no" }
        var table = TextTable([.left, .left] + sources.flatMap { _ in [.left, .left] })
        let heads = sources.flatMap { ["\($0): can set", "can clear"] }
        table.add(["  bit", ""] + heads)
        for case .control(let bit, let name, let settings) in section.rows {
            let cells = settings.flatMap { setting in
                setting.map { [word($0.canSet), word($0.canClear)] } ?? ["-", "-"]
            }
            table.add(["  \(bit)", name] + cells)
        }
        return table.lines
    }

    private static func lines(of svm: SVMFeatures) -> [String] {
        var table = TextTable([.left, .left, .left])
        for feature in svm.features {
            table.add(["  \(feature.bit)", feature.name, feature.isPresent ? "yes" : "no"])
        }
        return ["SVM, revision \(svm.revision), \(svm.identifierCount) address-space identifiers: CPUID 0x8000000A EDX"]
            + table.lines
    }

    /// All 16 digits.
    static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
