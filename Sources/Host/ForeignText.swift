/// Text from outside: paths, arguments, names of files, what a report that somebody made says.
///
/// To the system, such text is bytes without a zero, and need not be UTF-8. A `String` holds it all the same: a byte
/// that is no part of valid UTF-8 stands in it as one of 128 code points of the last private plane, which stand for
/// nothing else. So ``text(_:)`` loses nothing, and ``bytes(_:)`` gives the bytes back. To a person it is shown by
/// ``visible(_:)``, which lets nothing through that a terminal would obey.
package enum ForeignText {
    /// The code point for the byte 0; those for the bytes from 0x80 on are in use.
    private static let firstScalar: UInt32 = 0x10_ff00
    private static let standIns = (firstScalar + 0x80)...(firstScalar + 0xff)

    /// The text of some bytes.
    package static func text(_ bytes: some Collection<UInt8>) -> String { text(Array(bytes)) }

    /// The text of some bytes.
    package static func text(_ bytes: [UInt8]) -> String {
        // Most are ASCII, and what there is to check for others takes long at a process's start: the types that it is about
        // are looked up by name.
        if bytes.allSatisfy({ $0 < 0x80 }) { return String(decoding: bytes, as: UTF8.self) }
        if let text = String(validating: bytes, as: UTF8.self),
            !text.unicodeScalars.contains(where: { standIns.contains($0.value) })
        {
            return text
        }
        return repaired(bytes)
    }

    /// The text of bytes some of which are not UTF-8, or look like what stands in for such.
    private static func repaired(_ bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        var index = 0
        while index < bytes.count {
            let length = sequenceLength(bytes[index])
            let end = min(bytes.count, index + length)
            let scalars = String(validating: bytes[index..<end], as: UTF8.self)?.unicodeScalars
            if end - index == length, let scalar = scalars?.first, scalars?.count == 1,
                !standIns.contains(scalar.value)
            {
                text.append(scalar)
                index = end
            } else {
                // In the plane's range, which has no surrogates.
                if let standIn = Unicode.Scalar(firstScalar + UInt32(bytes[index])) { text.append(standIn) }
                index += 1
            }
        }
        return String(text)
    }

    /// How many bytes a character has that begins with a byte; 1 for a byte that begins none.
    private static func sequenceLength(_ first: UInt8) -> Int {
        switch first {
        case 0xc2...0xdf: 2
        case 0xe0...0xef: 3
        case 0xf0...0xf4: 4
        default: 1
        }
    }

    /// The bytes of a text.
    package static func bytes(_ text: String) -> [UInt8] {
        guard text.utf8.contains(0xf4) else { return Array(text.utf8) }
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            if standIns.contains(scalar.value) {
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            } else {
                bytes += String(scalar).utf8
            }
        }
        return bytes
    }

    /// A text's bytes with a zero behind them, as system calls take them.
    package static func cString(_ text: String) -> [CChar] {
        bytes(text).terminated
    }

    /// What a person is shown of a text: what would move a terminal's cursor, change its colors or turn its writing
    /// direction is spelled out, such as `\r` and `\x1b`.
    ///
    /// - Parameter kept: Control characters that are left as they are, such as a message's own line ends.
    package static func visible(_ text: String, keeping kept: [Unicode.Scalar] = []) -> String {
        guard text.unicodeScalars.contains(where: { isHidden($0) && !kept.contains($0) }) else { return text }
        var shown = ""
        for scalar in text.unicodeScalars {
            if isHidden(scalar), !kept.contains(scalar) {
                shown += spelled(scalar)
            } else {
                shown.unicodeScalars.append(scalar)
            }
        }
        return shown
    }

    /// Whether a terminal would do something else with a character than show it.
    private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // The control characters of ASCII and of ISO 8859.
        case 0...0x1f, 0x7f...0x9f: true
        // Marks, embeddings and isolates of writing direction, separators of lines; Unicode, "Bidirectional Algorithm".
        case 0x061c, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff, 0xfff9...0xfffb: true
        // Tags, which nobody sees.
        case 0xe_0000...0xe_007f: true
        case standIns: true
        default: false
        }
    }

    private static func spelled(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default:
            if scalar.value <= 0x7f || standIns.contains(scalar.value) {
                "\\x" + Hex.digits(UInt8(truncatingIfNeeded: scalar.value), 2)
            } else {
                "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
    }
}

extension [UInt8] {
    /// The bytes with a zero behind them, as system calls take them.
    package var terminated: [CChar] { map(CChar.init(bitPattern:)) + [0] }
}
