public import Counters
import Host

/// How a guest died: cause, vCPU, mode, registers, code.
public struct DeathReport: Sendable {
    private let death: GuestDeath
    private let remedy: String
    private let functionName: (@Sendable (UInt64) -> String?)?

    /// A report of a death.
    ///
    /// - Parameters:
    ///   - death: The death.
    ///   - remedy: What to do about it.
    ///   - functionName: The function that has an address, where there are symbols: then there is a backtrace.
    public init(_ death: GuestDeath, remedy: String, functionName: (@Sendable (UInt64) -> String?)? = nil) {
        self.death = death
        self.remedy = remedy
        self.functionName = functionName
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        var lines = ["The guest died on vCPU \(death.vcpu): \(death.cause.summary).", remedy]
        if let state = death.state { lines += Self.describe(state) + backtrace(state) }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Where the guest was and by which calls, innermost first.
    private func backtrace(_ state: VCPUSnapshot) -> [String] {
        guard let functionName else { return [] }
        return ([state.linearInstructionPointer] + state.backtrace).enumerated().map { depth, address in
            // What is returned to stands behind a call, which may be the last thing in its function.
            let name = functionName(depth == 0 ? address : address &- 1) ?? "?"
            return "  \(depth == 0 ? "in  " : "from")   \(Hex.digits(address, 16))  \(name)"
        }
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
