/// Damage done to a file's bytes.
enum Mutation {
    /// Values that are more likely than others to find an unchecked sum or product.
    private static let edges: [UInt64] = [
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000,
        0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0xffff_ffff_ffff_f000, .max,
    ]

    /// Changes one to four places among the given offsets, and now and then cuts the file off.
    static func mutate(_ original: [UInt8], at offsets: Range<Int>, using generator: inout SeededGenerator) -> [UInt8] {
        var bytes = original
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let offset = Int.random(in: offsets, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0:
                bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1:
                bytes[offset] = UInt8.random(in: .min ... .max, using: &generator)
            default:
                let value = edges.randomElement(using: &generator) ?? 0
                let width = [1, 2, 4, 8].randomElement(using: &generator) ?? 1
                // Fields lie at even offsets but for the first ones of a setup header.
                for index in 0..<width where offset + index < bytes.count {
                    bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
                }
            }
        }
        if Int.random(in: 0..<16, using: &generator) == 0 {
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
        }
        return bytes
    }
}
