package import KVM

/// The CPUID leaves by which a guest reads its own exit counters, in the three layouts that are in use.
///
/// | leaf | f22 | f21 | s21 |
/// | --- | --- | --- | --- |
/// | 0x4FFFFFFC | total exits | cycles of one exit type | |
/// | 0x4FFFFFFD | total cycles | count of one exit type | |
/// | 0x4FFFFFFE | count of one exit type | total cycles | count of one exit type |
/// | 0x4FFFFFFF | cycles of one exit type | total exits | total exits and total cycles |
public enum CounterLeaves: String, CaseIterable, Hashable, Sendable {
    /// Totals first.
    case f22
    /// Totals last.
    case f21
    /// Both totals in one answer, and no cycles of one type.
    case s21

    /// The leaves of all layouts. Those that a layout does not have read as zeros in it.
    public static let range: ClosedRange<UInt32> = 0x4fff_fffc...0x4fff_ffff

    /// What a leaf answers.
    public enum Question: Hashable, Sendable {
        /// The number of exits of all kinds.
        case totalExits
        /// The service time of all finished exits.
        case totalCycles
        /// Both of these.
        case totals
        /// The number of exits of the type in ECX.
        case exitsOfType
        /// The service time of the finished exits of the type in ECX.
        case cyclesOfType

        /// Whether ECX on input holds an exit type.
        public var asksForType: Bool { self == .exitsOfType || self == .cyclesOfType }
    }

    /// What a leaf answers in this layout, or nil when it is no counter leaf of it.
    public func question(of leaf: UInt32) -> Question? {
        guard Self.range.contains(leaf) else { return nil }
        return switch (self, leaf &- Self.range.lowerBound) {
        case (.f22, 0), (.f21, 3): .totalExits
        case (.f22, 1), (.f21, 2): .totalCycles
        case (.f22, 2), (.f21, 1), (.s21, 2): .exitsOfType
        case (.f22, _), (.f21, _): .cyclesOfType
        case (.s21, 3): .totals
        case (.s21, _): nil
        }
    }

    /// What CPUID leaves in the registers for a counter leaf, or nil when no layout has that leaf.
    ///
    /// - Parameters:
    ///   - leaf: EAX on input.
    ///   - number: ECX on input: an exit type where the leaf asks for one.
    ///   - numbering: Whose numbers exit types have.
    ///   - source: Where the counts and cycles come from.
    package func answer(
        leaf: UInt32, number: UInt32, numbering: ExitNumbering, source: any CounterSource
    ) -> CPUIDResult? {
        guard Self.range.contains(leaf) else { return nil }
        switch question(of: leaf) {
        case .totalExits: return Self.count(source.totalExits)
        case .totalCycles: return Self.cycles(source.totalCycles, eax: leaf)
        case .totals:
            return Self.cycles(source.totalCycles, eax: UInt32(truncatingIfNeeded: source.totalExits))
        case .exitsOfType:
            guard let type = ExitType(number, in: numbering) else { return Self.undefinedType }
            // Programs print ECX after the question, as the type that they asked for: it stays.
            return source.canOccur(type) ? Self.count(source.exits(of: type), ecx: number) : CPUIDResult()
        case .cyclesOfType:
            guard let type = ExitType(number, in: numbering) else { return Self.undefinedType }
            return source.canOccur(type) ? Self.cycles(source.cycles(of: type), eax: leaf) : CPUIDResult()
        case nil: return CPUIDResult()
        }
    }

    /// The answer for a number in ECX that no exit type has.
    static let undefinedType = CPUIDResult(edx: .max)

    private static func count(_ value: UInt64, ecx: UInt32 = 0) -> CPUIDResult {
        CPUIDResult(eax: UInt32(truncatingIfNeeded: value), ecx: ecx)
    }

    private static func cycles(_ value: UInt64, eax: UInt32) -> CPUIDResult {
        CPUIDResult(eax: eax, ebx: UInt32(truncatingIfNeeded: value >> 32), ecx: UInt32(truncatingIfNeeded: value))
    }
}

/// Whose numbers exit types have when a guest asks for one.
public enum ExitNumbering: String, CaseIterable, Hashable, Sendable {
    /// Intel's, on every host: ``BasicExitReason``.
    case sdm
    /// AMD's: ``SVMExitCode``.
    case svm

    /// The maximum number of any exit type in either numbering.
    static let maximum = max(BasicExitReason.maximum, SVMExitCode.maximum)
}

/// An exit type that a guest asks for, by the number that it has in one of the manuals.
package enum ExitType: Hashable, Sendable {
    case sdm(BasicExitReason)
    case svm(SVMExitCode)

    /// Whether it is CPUID.
    var isCPUID: Bool { self == .sdm(.cpuid) || self == .svm(.cpuid) }

    /// The type with a number, or nil where the manual defines none.
    init?(_ number: UInt32, in numbering: ExitNumbering) {
        switch numbering {
        case .sdm:
            guard let reason = BasicExitReason(rawValue: number) else { return nil }
            self = .sdm(reason)
        case .svm:
            guard let code = SVMExitCode(rawValue: number) else { return nil }
            self = .svm(code)
        }
    }
}
