/// A list of the host's CPUs as people write it, such as `0,2-3`: numbers and ranges, as taskset(1) and the files under
/// /sys/devices/system/cpu have them.
public struct CPUList: Hashable, Sendable {
    /// The numbers, in the order in which they were given. At least one; none twice.
    public let numbers: [Int]

    /// More than any kernel numbers CPUs with. Source: Linux, arch/x86/Kconfig, NR_CPUS: at most 8192.
    static let numberLimit = 8192

    /// The given CPUs, or nil for none, for one that is given twice, and for numbers that no CPU has.
    public init?(numbers: [Int]) {
        guard !numbers.isEmpty, numbers.allSatisfy((0..<Self.numberLimit).contains),
            Set(numbers).count == numbers.count
        else { return nil }
        self.numbers = numbers
    }

    /// Reads a list as a person wrote it, or nil when it is not one.
    public init?(_ text: String) {
        var numbers: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(Self.number)
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last else { return nil }
            numbers += first...last
        }
        self.init(numbers: numbers)
    }

    /// Digits and nothing else: `Int` itself takes signs.
    private static func number(_ text: Substring) -> Int? {
        guard text.allSatisfy({ $0.isASCII && $0.isWholeNumber }), let number = Int(text), number < numberLimit else {
            return nil
        }
        return number
    }

    /// The CPU for a vCPU. With more vCPUs than CPUs the list starts over.
    public func cpu(forVCPU index: Int) -> Int {
        numbers[index % numbers.count]
    }
}

extension CPUList: CustomStringConvertible {
    /// The list with ranges where numbers follow each other, such as `0,2-3`.
    public var description: String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }
}
