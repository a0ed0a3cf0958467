/// A run's statistics as a table for a terminal of 80 columns, and what they say in words.
public struct TextReport: Sendable {
    let outcome: RunOutcome
    let style: TextStyle
    private let perVCPU: Bool

    /// A report of a run.
    ///
    /// - Parameters:
    ///   - perVCPU: Whether each vCPU gets a table of its own besides the one of the totals.
    ///   - style: How the text is emphasized.
    public init(_ outcome: RunOutcome, perVCPU: Bool = false, style: TextStyle = .plain) {
        self.outcome = outcome
        self.perVCPU = perVCPU
        self.style = style
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        let total = outcome.statistics.total
        var lines = table(total) + kernelBlock(total)
        if perVCPU {
            for vcpu in outcome.statistics.vcpus {
                lines += ["", style.text("vCPU \(vcpu.vcpu ?? 0):", as: .heading)]
                lines += table(vcpu) + kernelBlock(vcpu)
            }
        }
        lines.append("")
        lines += notes + summary
        return lines.map { $0 + "\n" }.joined()
    }

    /// Cycles as time, where the frequency is known.
    func time(_ cycles: UInt64) -> String {
        guard let tscKHz = outcome.tscKHz else { return "-" }
        return HumanNumber.seconds(Double(cycles) / (Double(tscKHz) * 1000))
    }
}
