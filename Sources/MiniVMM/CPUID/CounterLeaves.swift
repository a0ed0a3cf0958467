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
    ///   - counters: The counters of all vCPUs.
    ///   - kernelExits: KVM's own count, where it is to stand for the total number of exits.
    func answer(
        leaf: UInt32, type: UInt32, counters: ExitCounterTable, kernelExits: KernelExits? = nil
    ) -> CPUIDResult? {
        guard let question = question(of: leaf) else { return nil }
        switch question {
        case .totalExits: return Self.count(kernelExits?.total ?? counters.totalExits)
        case .totalCycles: return Self.cycles(counters.totalServiceCycles, leaf: leaf)
        case .exitsOfType:
            guard let reason = BasicExitReason(rawValue: type) else { return Self.undefinedType }
            guard Self.isProduced(reason) else { return CPUIDResult() }
            return Self.count(counters.exits(of: reason))
        case .cyclesOfType:
            guard let reason = BasicExitReason(rawValue: type) else { return Self.undefinedType }
            guard Self.isProduced(reason) else { return CPUIDResult() }
            return Self.cycles(counters.serviceCycles(of: reason), leaf: leaf)
        }
    }

    /// The answer for a number in ECX that the SDM does not define.
    static let undefinedType = CPUIDResult(edx: .max)

    /// The reasons under which some kind of exit of MiniVMM is booked, a bit each. The SDM defines more of them.
    private static let produced: UInt128 = ExitKind.allCases.reduce(0) { mask, kind in
        // Reasons end at 85, so the shift keeps inside 128 bits.
        kind.basicExitReason.map { mask | 1 << UInt128($0.rawValue) } ?? mask
    }

    private static func isProduced(_ reason: BasicExitReason) -> Bool {
        produced >> UInt128(reason.rawValue) & 1 == 1
    }

    private static func count(_ value: UInt64) -> CPUIDResult {
        CPUIDResult(eax: UInt32(truncatingIfNeeded: value))
    }

    private static func cycles(_ value: UInt64, leaf: UInt32) -> CPUIDResult {
        CPUIDResult(
            eax: leaf, ebx: UInt32(truncatingIfNeeded: value >> 32), ecx: UInt32(truncatingIfNeeded: value))
    }
}
