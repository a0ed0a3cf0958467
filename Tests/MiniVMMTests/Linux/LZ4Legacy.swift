import Glibc
@testable import TestSupport

/// The LZ4 format of compressed kernels: blocks, each behind its size, without checksums.
///
/// Source: lz4_Frame_format.md, "Legacy frame", and lz4_Block_format.md of LZ4.
enum LZ4Legacy {
    /// The bytes are damaged.
    struct Damage: Error {}

    private static let magic: [UInt8] = [0x02, 0x21, 0x4c, 0x18]
    /// A length field of four bits with this value goes on in the bytes that follow.
    private static let longLength = 15
    private static let leastMatch = 4

    /// Whether bytes begin as the format does.
    static func isPresent(in bytes: some Collection<UInt8>) -> Bool {
        bytes.starts(with: magic)
    }

    /// Decompresses all blocks into exactly `size` bytes.
    ///
    /// - Throws: ``Damage``.
    static func decompress(_ source: [UInt8], size: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: size) { output, count in
            try source.withUnsafeBufferPointer { input in
                var position = magic.count
                while position < input.count {
                    guard position + 4 <= input.count else { throw Damage() }
                    let length = (0..<4).reduce(0) { $0 | Int(input[position + $1]) << (8 * $1) }
                    position += 4
                    guard length <= input.count - position else { throw Damage() }
                    let block = UnsafeBufferPointer(rebasing: input[position..<position + length])
                    try decompress(block: block, into: output, &count)
                    position += length
                }
            }
            guard count == size else { throw Damage() }
        }
    }

    /// Decompresses a block behind what there is already. Sound: every copy is checked against both buffers.
    private static func decompress(
        block: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int
    ) throws {
        guard let from = block.baseAddress, let to = output.baseAddress else { throw Damage() }
        var position = 0
        while position < block.count {
            let token = Int(from[position])
            position += 1
            let literals = try length(token >> 4, block, &position)
            guard literals <= block.count - position, literals <= output.count - count else { throw Damage() }
            memcpy(to + count, from + position, literals)
            position += literals
            count += literals
            // The last sequence has no match.
            if position == block.count { return }

            guard position + 2 <= block.count else { throw Damage() }
            let distance = Int(from[position]) | Int(from[position + 1]) << 8
            position += 2
            let match = try length(token & longLength, block, &position) + leastMatch
            guard distance > 0, distance <= count, match <= output.count - count else { throw Damage() }
            copy(match, to + count, distance)
            count += match
        }
    }

    private static func length(_ field: Int, _ block: UnsafeBufferPointer<UInt8>, _ position: inout Int) throws -> Int {
        guard field == longLength else { return field }
        var length = field
        while position < block.count {
            let byte = Int(block[position])
            position += 1
            length += byte
            if byte != 255 { return length }
        }
        throw Damage()
    }

    /// Copies from `distance` before; what is copied may be part of what is to be copied.
    private static func copy(_ count: Int, _ to: UnsafeMutablePointer<UInt8>, _ distance: Int) {
        var done = 0
        while done < count {
            let step = min(count - done, distance + done)
            memcpy(to + done, to - distance, step)
            done += step
        }
    }
}
