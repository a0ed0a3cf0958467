/// What comes in over a connection with a debugger.
package enum RemoteEvent: Hashable, Sendable {
    /// A packet whose checksum is right, without its escapes.
    case packet([UInt8])
    /// A packet that cannot be used: its checksum is wrong, or it is longer than any may be.
    case damaged
    /// The peer has got the last packet.
    case acknowledged
    /// The peer has not, and wants it again.
    case refused
    /// The peer wants the machine to stop (the byte 03).
    case interrupt
}

/// Takes a connection's bytes apart into packets: `$`, the text, `#`, two digits of checksum.
///
/// Whatever comes in, it holds no more bytes than a packet may have.
///
/// Source: "Debugging with GDB", appendix "GDB Remote Serial Protocol", section "Overview".
package struct PacketDecoder: Sendable {
    /// The longest packet that is taken, in bytes between `$` and `#`.
    package static let capacity = 0x4000

    private enum State {
        case betweenPackets
        case inside
        case firstDigit
        case secondDigit(UInt8?)
    }

    private var state = State.betweenPackets
    private var payload: [UInt8] = []
    private var sum: UInt8 = 0
    private var isTooLong = false

    /// A decoder at the start of a connection.
    package init() {}

    /// Takes the next byte.
    ///
    /// - Returns: What it completes, if anything.
    package mutating func take(_ byte: UInt8) -> RemoteEvent? {
        switch state {
        case .betweenPackets:
            return takeBetweenPackets(byte)
        case .inside:
            switch byte {
            case UInt8(ascii: "#"): state = .firstDigit
            // The peer has begun anew.
            case UInt8(ascii: "$"): begin()
            default: append(byte)
            }
            return nil
        case .firstDigit:
            state = .secondDigit(Hexadecimal.digit(byte))
            return nil
        case .secondDigit(let high):
            state = .betweenPackets
            defer { payload.removeAll(keepingCapacity: true) }
            guard !isTooLong, let high, let low = Hexadecimal.digit(byte), high << 4 | low == sum else {
                return .damaged
            }
            return Self.unescaped(payload).map { .packet($0) } ?? .damaged
        }
    }

    private mutating func takeBetweenPackets(_ byte: UInt8) -> RemoteEvent? {
        switch byte {
        case UInt8(ascii: "$"):
            begin()
            return nil
        case UInt8(ascii: "+"): return .acknowledged
        case UInt8(ascii: "-"): return .refused
        case 0x03: return .interrupt
        default: return nil
        }
    }

    private mutating func begin() {
        payload.removeAll(keepingCapacity: true)
        sum = 0
        isTooLong = false
        state = .inside
    }

    private mutating func append(_ byte: UInt8) {
        sum &+= byte
        guard payload.count < Self.capacity else {
            isTooLong = true
            return
        }
        payload.append(byte)
    }

    /// `}` stands for the byte after it, with bit 5 the other way round.
    ///
    /// - Returns: nil when nothing comes after it.
    private static func unescaped(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.contains(RemotePacket.escape) else { return bytes }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var isEscaped = false
        for byte in bytes {
            if isEscaped {
                result.append(byte ^ RemotePacket.escapeBit)
                isEscaped = false
            } else if byte == RemotePacket.escape {
                isEscaped = true
            } else {
                result.append(byte)
            }
        }
        return isEscaped ? nil : result
    }
}

/// What goes out over a connection with a debugger.
package enum RemotePacket {
    static let escape = UInt8(ascii: "}")
    static let escapeBit: UInt8 = 0x20
    /// What may not stand in a packet as it is; `*` would be the start of a run.
    private static let special: [UInt8] = Array("#$}*".utf8)

    /// The bytes of a packet.
    package static func encode(_ payload: some Sequence<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "$")]
        for byte in payload {
            if special.contains(byte) {
                bytes.append(escape)
                bytes.append(byte ^ escapeBit)
            } else {
                bytes.append(byte)
            }
        }
        let sum = bytes.dropFirst().reduce(0) { $0 &+ $1 }
        bytes.append(UInt8(ascii: "#"))
        bytes += Hexadecimal.text([sum]).utf8
        return bytes
    }
}

/// Numbers and bytes as the protocol writes them: hexadecimal, in lower case, with nothing before them.
enum Hexadecimal {
    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Two digits a byte.
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var result: [UInt8] = []
        for byte in bytes {
            result.append(digits[Int(byte >> 4)])
            result.append(digits[Int(byte & 0xf)])
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The bytes that pairs of digits stand for; nil for anything else.
    static func bytes(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count.isMultiple(of: 2) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count / 2)
        var high: UInt8?
        for character in text {
            guard let digit = digit(character) else { return nil }
            if let first = high {
                result.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return result
    }

    /// A number of one to sixteen digits; nil for anything else.
    static func number(_ text: some Collection<UInt8>) -> UInt64? {
        guard (1...16).contains(text.count) else { return nil }
        var result: UInt64 = 0
        for character in text {
            guard let digit = digit(character) else { return nil }
            result = result << 4 | UInt64(digit)
        }
        return result
    }

    /// Two numbers with a comma between.
    static func pair(_ text: ArraySlice<UInt8>) -> (UInt64, UInt64)? {
        let parts = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard parts.count == 2, let first = number(parts[0]), let second = number(parts[1]) else { return nil }
        return (first, second)
    }
}
