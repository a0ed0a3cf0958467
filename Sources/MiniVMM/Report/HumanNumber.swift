/// Numbers as a person reads them in a table: three significant digits and a unit.
enum HumanNumber {
    /// A count or a number of cycles: `999`, `1.23k`, `45.6M`. At most five characters up to 10^15.
    static func count(_ value: Double) -> String {
        scaled(value, ["", "k", "M", "G", "T", "P"])
    }

    /// A count or a number of cycles.
    static func count(_ value: UInt64) -> String {
        value < 1000 ? String(value) : count(Double(value))
    }

    /// A time in seconds: `850ns`, `4.10us`, `27.8ms`, `1.50s`, `125s`.
    static func seconds(_ value: Double) -> String {
        let nanoseconds = value * 1e9
        return nanoseconds < 1e9
            ? scaled(nanoseconds, ["ns", "us", "ms"]) : scaled(value, ["s", "ks", "Ms"])
    }

    /// A time in seconds as prose has it, with a space: `4.10 us`.
    static func spaced(seconds value: Double) -> String {
        let text = seconds(value)
        let number = text.prefix { !$0.isLetter }
        return "\(number) \(text.dropFirst(number.count))"
    }

    /// A share of a whole: `3.1%`, `100%`.
    static func share(_ part: UInt64, of whole: UInt64) -> String {
        guard whole > 0 else { return "-" }
        let percent = Double(part) / Double(whole) * 100
        return percent >= 99.95 ? "100%" : fixed(percent, digits: 1) + "%"
    }

    /// Three significant digits in the unit that leaves one to three of them before the point.
    private static func scaled(_ value: Double, _ units: [String]) -> String {
        var value = value
        var index = 0
        while value >= 999.5, index + 1 < units.count {
            value /= 1000
            index += 1
        }
        let digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let isWhole = index == 0 && value == value.rounded()
        return fixed(value, digits: isWhole ? 0 : digits) + units[index]
    }

    /// A number that is not negative, with a fixed number of digits after the point.
    static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        // Past what an integer holds, there is nothing to round.
        guard scaled < 1e18 else { return String(value) }
        let number = UInt64(max(0, scaled))
        guard digits > 0 else { return String(number) }
        let whole = number / UInt64(scale)
        let rest = String(number % UInt64(scale))
        return "\(whole)." + String(repeating: "0", count: digits - rest.count) + rest
    }
}
