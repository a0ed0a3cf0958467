import Counters
import Host

/// What the guest asked the counter leaves.
extension TextReport {
    /// The layout and the questions, and whether another layout is the one that the guest is made for. No line when it
    /// asked none.
    var counterLeafLines: [String] {
        guard let use = outcome.counterLeaves else { return [] }
        let numbers = use.numbering == .svm ? ", types by SVM's exit codes" : ""
        let others = use.likelierLayouts.map(\.rawValue)
        let questions = use.asked.map { asked in
            // In a question for a total, ECX is what happens to be there: of interest where it is evidence.
            let asksForType = use.layout.question(of: asked.leaf)?.asksForType ?? false
            return Self.times(asked) + (asksForType || !others.isEmpty ? Self.numbers(asked) : "")
        }
        let line =
            "Counter leaves, layout \(use.layout.rawValue)\(numbers): asked " + questions.joined(separator: ", ")
        // A guess, however good, is asked and not said.
        guard !others.isEmpty else { return [line + "."] }
        return ["\(line): is this layout \(others.joined(separator: " or "))?"]
    }

    /// How often a leaf was asked: `0x4FFFFFFE 70 times`.
    private static func times(_ asked: AskedLeaf) -> String {
        let times = asked.count == 1 ? "once" : "\(asked.count) times"
        return "0x\(Hex.digits(asked.leaf, 8).uppercased()) \(times)"
    }

    /// What was in ECX: ` with ECX 0 to 69`.
    private static func numbers(_ asked: AskedLeaf) -> String {
        let (first, last) = (asked.minimumECX, asked.maximumECX)
        return " with ECX " + (first == last ? "\(first)" : "\(first) to \(last)")
    }
}
