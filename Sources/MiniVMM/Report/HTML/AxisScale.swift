/// Where an axis ends.
enum AxisScale {
    /// A number as the label of an axis: without zeros at the end of its fraction, as in `1k` and `2.5M`.
    static func label(_ text: String) -> String {
        guard let dot = text.firstIndex(of: ".") else { return text }
        let end = text[dot...].dropFirst().firstIndex { !$0.isNumber } ?? text.endIndex
        var number = text[..<end]
        while number.last == "0" { number.removeLast() }
        if number.last == "." { number.removeLast() }
        return String(number + text[end...])
    }

    /// The least of 1, 1.2, 1.6, 2, 4, 6, 8 and 10 times a power of ten that is not less than the value: its quarters are short
    /// numbers.
    static func roundedUp(_ value: Double) -> Double {
        guard value > 0 else { return 1 }
        var power = 1.0
        while power * 10 < value { power *= 10 }
        while power >= value { power /= 10 }
        return ([1, 1.2, 1.6, 2, 4, 6, 8].first { $0 * power >= value } ?? 10) * power
    }
}
