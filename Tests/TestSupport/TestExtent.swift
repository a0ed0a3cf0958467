import Foundation

/// How much tests try that could go on for hours: enough to notice a mistake, or all that is promised, which takes long
/// where every exit is emulated.
enum TestExtent {
    /// Whether to try everything: with MINIVMM_EXHAUSTIVE_TESTS=1.
    static let isExhaustive = variable("MINIVMM_EXHAUSTIVE_TESTS") == 1

    /// By what the totals of docs/security.md are to be divided, if they are to be tried: MINIVMM_TOTALS, which is 1 for
    /// all of them, 10 with the address sanitizer, 100 with the thread sanitizer.
    static let totalsDivisor = variable("MINIVMM_TOTALS").flatMap { $0 > 0 ? $0 : nil }

    private static func variable(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    /// The number to take.
    static func of<Number: BinaryInteger>(_ some: Number, exhaustive all: Number) -> Number {
        isExhaustive ? all : some
    }

    /// The number to take.
    ///
    /// - Parameter total: What docs/security.md says was tried, which takes from minutes to an hour.
    static func of<Number: BinaryInteger>(_ some: Number, exhaustive all: Number, total: Number) -> Number {
        totalsDivisor.map { total / Number($0) } ?? of(some, exhaustive: all)
    }

    /// Says what came of a total, for the record. Nothing is said otherwise.
    static func report(_ text: @autoclosure () -> String) {
        if totalsDivisor != nil { print("total: \(text())") }
    }
}
