package import KVM

/// The four CPUID leaves by which a guest reads its own exit counters, in the two layouts that are in use.
///
/// | leaf | f22 | f21 |
/// | --- | --- | --- |
/// | 0x4FFFFFFC | total exits | cycles of one exit type |
/// | 0x4FFFFFFD | total cycles | count of one exit type |
/// | 0x4FFFFFFE | count of one exit type | total cycles |
/// | 0x4FFFFFFF | cycles of one exit type | total exits |
public enum CounterLeaves: String, CaseIterable, Hashable, Sendable {
    /// Totals first.
    case f22
    /// Totals last.
    case f21

    /// The leaves of both layouts.
    public static let range: ClosedRange<UInt32> = 0x4fff_fffc...0x4fff_ffff

    /// What a leaf answers.
    public enum Question: Hashable, Sendable {
        /// The number of exits of all kinds.
        case totalExits
        /// The service time of all finished exits.
        case totalCycles
        /// The number of exits of the type in ECX.
        case exitsOfType
        /// The service time of the finished exits of the type in ECX.
        case cyclesOfType
    }

    /// What a leaf answers in this layout, or nil when it is no counter leaf.
    public func question(of leaf: UInt32) -> Question? {
        guard Self.range.contains(leaf) else { return nil }
        return switch (self, leaf &- Self.range.lowerBound) {
        case (.f22, 0), (.f21, 3): .totalExits
        case (.f22, 1), (.f21, 2): .totalCycles
        case (.f22, 2), (.f21, 1): .exitsOfType
        default: .cyclesOfType
        }
    }

    /// What CPUID leaves in the registers for a counter leaf, or nil when it is none.
    ///
    /// - Parameters:
    ///   - leaf: EAX on input.
    ///   - type: ECX on input: a basic exit reason where the leaf asks for one exit type.
    ///   - source: Where the numbers come from.
    package func answer(leaf: UInt32, type: UInt32, source: any CounterSource) -> CPUIDResult? {
        guard let question = question(of: leaf) else { return nil }
        switch question {
        case .totalExits: return Self.count(source.totalExits)
        case .totalCycles: return Self.cycles(source.totalCycles, leaf: leaf)
        case .exitsOfType, .cyclesOfType:
            guard let reason = BasicExitReason(rawValue: type) else { return Self.undefinedType }
            guard source.canOccur(reason) else { return CPUIDResult() }
            return question == .exitsOfType
                ? Self.count(source.exits(of: reason)) : Self.cycles(source.cycles(of: reason), leaf: leaf)
        }
    }

    /// The answer for a number in ECX that the SDM does not define.
    static let undefinedType = CPUIDResult(edx: .max)

    private static func count(_ value: UInt64) -> CPUIDResult {
        CPUIDResult(eax: UInt32(truncatingIfNeeded: value))
    }

    private static func cycles(_ value: UInt64, leaf: UInt32) -> CPUIDResult {
        CPUIDResult(
            eax: leaf, ebx: UInt32(truncatingIfNeeded: value >> 32), ecx: UInt32(truncatingIfNeeded: value))
    }
}
