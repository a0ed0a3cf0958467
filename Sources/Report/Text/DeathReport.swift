public import Counters
import Host

/// How a guest died: cause, vCPU, mode, registers, code.
public struct DeathReport: Sendable {
    private let death: GuestDeath
    private let remedy: String

    /// A report of a death.
    ///
    /// - Parameters:
    ///   - death: The death.
    ///   - remedy: What to do about it.
    public init(_ death: GuestDeath, remedy: String) {
        self.death = death
        self.remedy = remedy
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        var lines = ["The guest died on vCPU \(death.vcpu): \(death.cause.summary).", remedy]
        if let state = death.state { lines += Self.describe(state) }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func describe(_ state: VCPUSnapshot) -> [String] {
        var lines = ["  mode \(state.mode.rawValue), CPL \(state.privilegeLevel)"]
        lines += rows(state.general, perRow: 3)
        lines += rows(state.control, perRow: 3)
        lines += state.segments.map { segment in
            "  \(segment.name.padded(to: 6)) \(Hex.digits(segment.selector, 4))"
                + "  base \(Hex.digits(segment.base, 16))  limit \(Hex.digits(segment.limit, 8))"
        }
        let address = Hex.number(state.linearInstructionPointer)
        lines.append(
            state.code.isEmpty
                ? "  code at \(address): not readable" : "  code at \(address): \(Hex.bytes(state.code))")
        return lines
    }

    private static func rows(_ registers: [VCPUSnapshot.Register], perRow: Int) -> [String] {
        stride(from: 0, to: registers.count, by: perRow).map { start in
            registers[start..<min(start + perRow, registers.count)]
                .map { "  \($0.name.padded(to: 6)) \(Hex.digits($0.value, 16))" }
                .joined()
        }
    }
}

extension String {
    /// The string, followed by spaces up to a width.
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
