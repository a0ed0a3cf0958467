/// Text that is put together byte by byte: for files with a line for each of a million exits.
struct ByteText {
    private(set) var bytes: [UInt8] = []

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Appends a number in decimal.
    mutating func append(_ number: UInt64) {
        append(number, radix: 10, atLeast: 1)
    }

    /// Appends a number of thousandths: `1234` as `1.234`.
    mutating func append(thousandths number: UInt64) {
        append(number / 1000)
        bytes.append(UInt8(ascii: "."))
        append(number % 1000, radix: 10, atLeast: 3)
    }

    /// Appends a further member of a JSON object, a number.
    mutating func append(number: UInt64, key: String) {
        append(key: key)
        append(number)
    }

    /// Appends a further member of a JSON object, a string with the number in hexadecimal.
    mutating func append(hex number: UInt64, key: String) {
        append(key: key)
        append("\"0x")
        append(number, radix: 16, atLeast: 1)
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(key: String) {
        append(",\"")
        append(key)
        append("\":")
    }

    /// Appends a number's digits: at least so many, in base 10 or 16.
    ///
    /// Inlined, so that the base is a constant and no digit takes a division.
    @inline(__always)
    private mutating func append(_ number: UInt64, radix: UInt64, atLeast digits: Int) {
        let greatestCount = 20
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: greatestCount) { buffer in
            var index = greatestCount
            var rest = number
            repeat {
                let digit = UInt8(truncatingIfNeeded: rest % radix)
                index -= 1
                // Sound: 64 bits have no more digits than there is room for, and every one that is read was written.
                buffer[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit
                rest /= radix
            } while rest > 0 || greatestCount - index < digits
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[index...]))
        }
    }
}
