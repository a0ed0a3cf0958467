import Glibc

/// Logarithms.
enum Logarithm {
    /// To base 2.
    static func binary(_ value: Double) -> Double { log2(value) }
    /// To base 10.
    static func decimal(_ value: Double) -> Double { log10(value) }
}
