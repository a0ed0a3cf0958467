/// Text that is put together byte by byte, in memory that was made before: for files with a line for each of a million
/// exits.
///
/// Whoever appends answers for the room. All of it is inlined, so that the lengths of literals are constants.
// Safe to use: its one user, TraceLines, has room for the longest line before it appends.
@safe
struct ByteText {
    private let start: UnsafeMutablePointer<UInt8>
    /// The number of bytes so far.
    private(set) var count = 0

    /// An empty text, whose bytes go to the given place.
    init(at start: UnsafeMutablePointer<UInt8>) {
        unsafe self.start = unsafe start
    }

    private var end: UnsafeMutablePointer<UInt8> { unsafe start + count }

    @inline(__always)
    package mutating func append(_ text: StaticString) {
        unsafe end.update(from: text.utf8Start, count: text.utf8CodeUnitCount)
        count &+= text.utf8CodeUnitCount
    }

    @inline(__always)
    package mutating func append(_ text: Slice<UnsafeBufferPointer<UInt8>>) {
        let bytes = unsafe UnsafeBufferPointer(rebasing: text)
        if let first = bytes.baseAddress { unsafe end.update(from: first, count: bytes.count) }
        count &+= bytes.count
    }

    /// Appends a number in decimal: at most 20 bytes.
    @inline(__always)
    package mutating func append(_ number: UInt64) {
        append(number, digits: Self.digitCount(of: number))
    }

    /// Appends a number of thousandths: `1234` as `1.234`. At most 21 bytes.
    @inline(__always)
    package mutating func append(thousandths number: UInt64) {
        append(number / 1000)
        append(".")
        append(number % 1000, digits: 3)
    }

    /// Appends a number in hexadecimal, with `0x` before it: at most 18 bytes.
    @inline(__always)
    package mutating func append(hex number: UInt64) {
        append("0x")
        let digits = max(1, (UInt64.bitWidth - number.leadingZeroBitCount + 3) / 4)
        var rest = number
        var index = digits
        while index > 0 {
            index &-= 1
            let digit = UInt8(truncatingIfNeeded: rest & 0xf)
            unsafe end[index] = digit &+ (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") &- 10)
            rest >>= 4
        }
        count &+= digits
    }

    /// 00, 01, 02 and so on up to 99.
    private static let pairs: StaticString = """
        0001020304050607080910111213141516171819\
        2021222324252627282930313233343536373839\
        4041424344454647484950515253545556575859\
        6061626364656667686970717273747576777879\
        8081828384858687888990919293949596979899
        """

    /// Appends the last digits of a number, two at a time.
    @inline(__always)
    private mutating func append(_ number: UInt64, digits: Int) {
        let pairs = unsafe Self.pairs.utf8Start
        var rest = number
        var index = digits
        while index >= 2 {
            // Sound: a pair's number is less than 100, and the table has 200 bytes.
            let pair = unsafe pairs + Int(truncatingIfNeeded: rest % 100) &* 2
            index &-= 2
            unsafe end[index] = unsafe pair[0]
            unsafe end[index &+ 1] = unsafe pair[1]
            rest /= 100
        }
        if index == 1 { unsafe end[0] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10) }
        count &+= digits
    }

    @inline(__always)
    private static func digitCount(of number: UInt64) -> Int {
        var count = 1
        var power: UInt64 = 10
        while number >= power {
            count &+= 1
            let next = power.multipliedReportingOverflow(by: 10)
            if next.overflow { break }
            power = next.partialValue
        }
        return count
    }
}
