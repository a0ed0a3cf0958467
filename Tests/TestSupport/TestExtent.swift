import Foundation

/// How much tests try that could go on for hours: enough to notice a mistake, or all that is promised, which takes long
/// where every exit is emulated.
enum TestExtent {
    /// Whether to try everything: with MINIVMM_EXHAUSTIVE_TESTS=1.
    static let isExhaustive = ProcessInfo.processInfo.environment["MINIVMM_EXHAUSTIVE_TESTS"] == "1"

    /// The number to take.
    static func of<Number: BinaryInteger>(_ some: Number, exhaustive all: Number) -> Number {
        isExhaustive ? all : some
    }
}
