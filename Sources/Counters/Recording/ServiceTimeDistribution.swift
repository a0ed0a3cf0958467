/// How the service times of one kind's exits are distributed, in classes whose bounds grow by a constant factor.
public struct ServiceTimeDistribution: Hashable, Sendable {
    /// One class.
    public struct Class: Hashable, Sendable {
        /// Its number: it holds times from 2^(number / 4) up to 2^((number + 1) / 4) cycles.
        public let number: Int
        /// How many exits are in it.
        public let exits: UInt64
    }

    /// The classes of a doubling.
    public static let classesPerDoubling = 4

    /// The kind.
    public let kind: ExitKind
    /// The classes that have exits, in ascending order.
    public let classes: [Class]
}

extension ServiceTimeDistribution {
    /// The distribution of a kind's times over the vCPUs that the counters belong to.
    package init(_ kind: ExitKind, of counters: [ExitCounters]) {
        self.kind = kind
        var exits: [Int: UInt64] = [:]
        ServiceTimeHistogram(kind, of: counters).forEach { longest, count in
            // The upper end of a bucket of the histogram, whose buckets are much narrower than a class.
            exits[Self.classNumber(of: longest), default: 0] &+= count
        }
        classes = exits.sorted { $0.key < $1.key }.map { Class(number: $0.key, exits: $0.value) }
    }

    /// 2^(1/4), 2^(1/2) and 2^(3/4): where the classes of a doubling begin, but for the first.
    private static let steps = [1.189207115002721, 1.4142135623730951, 1.681792830507429]

    /// The class of a time in cycles. That of 0 is that of 1.
    static func classNumber(of cycles: UInt64) -> Int {
        guard cycles > 1 else { return 0 }
        let doublings = UInt64.bitWidth - 1 - cycles.leadingZeroBitCount
        let fraction = Double(cycles) / Double(sign: .plus, exponent: doublings, significand: 1)
        return doublings * classesPerDoubling + steps.filter { fraction >= $0 }.count
    }

    /// The shortest time of a class, in whole cycles. Histograms end at 2^42 cycles, so that this does not overflow.
    package static func leastCycles(ofClass number: Int) -> UInt64 {
        let (doublings, step) = number.quotientAndRemainder(dividingBy: classesPerDoubling)
        let factor = step == 0 ? 1 : steps[step - 1]
        return UInt64(Double(sign: .plus, exponent: doublings, significand: factor).rounded(.up))
    }
}
