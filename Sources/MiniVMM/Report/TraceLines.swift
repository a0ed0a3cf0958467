/// One vCPU's exits as lines of a trace file, put together in pieces of many lines.
struct TraceLines {
    private let events: [TraceEvent]
    private let format: TraceLineFormat
    /// The number of exits in the pieces so far.
    private var done = 0
    private var bytes = [UInt8](repeating: 0, count: pieceSize)
    private var byteCount = 0

    private static let pieceSize = 1 << 16

    init(_ track: ExitTrace.Track, origin: UInt64, tscKHz: UInt32?) {
        events = track.events
        format = TraceLineFormat(vcpu: track.vcpu, origin: origin, tscKHz: tscKHz)
    }

    /// The piece that was made last.
    var piece: ArraySlice<UInt8> { bytes[..<byteCount] }

    /// Makes the next piece, in place of the last one.
    ///
    /// - Returns: Whether there is one.
    mutating func makePiece() -> Bool {
        guard done < events.count else { return false }
        (byteCount, done) = bytes.withUnsafeMutableBufferPointer { [events, format, done] room in
            guard let start = room.baseAddress else { return (0, events.count) }
            var text = ByteText(at: start)
            var next = done
            while next < events.count, text.count <= room.count - TraceLineFormat.lineRoom {
                format.append(events[next], to: &text)
                next += 1
            }
            return (text.count, next)
        }
        return true
    }
}
