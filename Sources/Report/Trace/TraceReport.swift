public import Counters

/// A run's exits in Chrome's trace format, which Perfetto and chrome://tracing show.
///
/// Every exit is a complete event on its vCPU's track. Times are in microseconds from the start of the run, to the
/// nanosecond; where the frequency of the time-stamp counter is not known, as if it were 1 GHz. `args.cycles` is exact.
///
/// Source: "Trace Event Format", which the Catapult project publishes.
public struct TraceReport: Sendable {
    private let trace: ExitTrace
    private let tscKHz: UInt32?

    /// A report of a run's exits.
    ///
    /// - Parameters:
    ///   - trace: The exits.
    ///   - tscKHz: The frequency of the time-stamp counter in kHz, if it is known.
    public init(_ trace: ExitTrace, tscKHz: UInt32?) {
        self.trace = trace
        self.tscKHz = tscKHz
    }

    /// Hands the file over, piece by piece. A piece is the sink's only as long as the call takes.
    public func write<Failure>(to sink: (ArraySlice<UInt8>) throws(Failure) -> Void) throws(Failure) {
        try sink(Self.bytes(opening))
        for track in trace.tracks {
            try sink(Self.bytes(opening(of: track)))
            var lines = TraceLines(track, origin: trace.origin, tscKHz: tscKHz)
            while lines.makePiece() { try sink(lines.piece) }
        }
        try sink(Self.bytes("\n]}\n"))
    }

    private static func bytes(_ text: String) -> ArraySlice<UInt8> {
        Array(text.utf8)[...]
    }

    private var opening: String {
        let frequency = tscKHz.map { String($0) } ?? "null"
        return #"{"displayTimeUnit":"ns","otherData":{"program":"MiniVMM","tsc_khz":\#(frequency),"#
            + "\"lost_exits\":\(trace.lostCount)},\"traceEvents\":[\n"
            + #"{"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"guest"}}"#
    }

    private func opening(of track: ExitTrace.Track) -> String {
        ",\n" + #"{"name":"thread_name","ph":"M","pid":1,"tid":\#(track.vcpu),"args":{"name":"vCPU \#(track.vcpu)"}}"#
    }
}

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
    package var piece: ArraySlice<UInt8> { bytes[..<byteCount] }

    /// Makes the next piece, in place of the last one.
    ///
    /// - Returns: Whether there is one.
    mutating func makePiece() -> Bool {
        guard done < events.count else { return false }
        (byteCount, done) = unsafe bytes.withUnsafeMutableBufferPointer { [events, format, done] room in
            guard let start = room.baseAddress else { return (0, events.count) }
            var text = unsafe ByteText(at: start)
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

/// How an exit looks as a line of a trace file.
struct TraceLineFormat {
    private let origin: UInt64
    private let tscKHz: UInt32?
    /// How the lines of each kind begin, one after the other.
    private var openings: [UInt8] = []
    /// Where each kind's opening ends, in the order of the kinds' numbers.
    private var openingEnds: [Int] = []

    /// More than any line takes: six numbers of at most 20 digits and about 150 other bytes.
    static let lineRoom = 512

    init(vcpu: Int, origin: UInt64, tscKHz: UInt32?) {
        self.origin = origin
        self.tscKHz = tscKHz
        for kind in ExitKind.allCases {
            let opening = ",\n" + #"{"name":"\#(kind.name)","cat":"exit","ph":"X","pid":1,"tid":\#(vcpu),"ts":"#
            openings += Array(opening.utf8)
            openingEnds.append(openings.count)
        }
    }

    /// Appends an exit's line to a text that has room for it.
    @inline(__always)
    package func append(_ event: TraceEvent, to text: inout ByteText) {
        // An exit before the start is not possible but on a processor whose counter lags behind.
        let start = event.start > origin ? event.start &- origin : 0
        let from = nanoseconds(start)
        // Both ends are rounded the same way, so that exits do not overlap and their lengths add up.
        let length = nanoseconds(start &+ event.cycles) &- from
        let kind = event.kind
        let opening = kind.rawValue == 0 ? 0 : openingEnds[kind.rawValue - 1]
        unsafe openings.withUnsafeBufferPointer { unsafe text.append($0[opening..<openingEnds[kind.rawValue]]) }
        text.append(thousandths: from)
        text.append(#","dur":"#)
        text.append(thousandths: length)
        text.append(#","args":{"cycles":"#)
        text.append(event.cycles)
        appendDetails(event, kind, to: &text)
        text.append("}}")
    }

    @inline(__always)
    private func appendDetails(_ event: TraceEvent, _ kind: ExitKind, to text: inout ByteText) {
        switch kind {
        case .portIn, .portOut:
            text.append(#","port":""#)
            text.append(hex: event.subject)
            text.append(#"","size":"#)
            text.append(UInt64(event.width))
            text.append(#","count":"#)
            text.append(UInt64(event.extra))
        case .mmioRead, .mmioWrite:
            text.append(#","address":""#)
            text.append(hex: event.subject)
            text.append(#"","size":"#)
            text.append(UInt64(event.width))
        case .cpuid:
            text.append(#","leaf":""#)
            text.append(hex: event.subject)
            text.append(#"","subleaf":""#)
            text.append(hex: UInt64(event.extra))
            text.append("\"")
        case .rdmsr, .wrmsr:
            text.append(#","msr":""#)
            text.append(hex: event.subject)
            text.append("\"")
        case .debug:
            text.append(#","address":""#)
            text.append(hex: event.subject)
            text.append("\"")
        case .hypercall, .exception, .failEntry, .internalError, .systemEvent, .unknown:
            text.append(#","number":"#)
            text.append(event.subject)
        default: break
        }
    }

    /// Cycles in nanoseconds, rounded down.
    @inline(__always)
    private func nanoseconds(_ cycles: UInt64) -> UInt64 {
        guard let tscKHz, tscKHz > 0 else { return cycles }
        // As long as the product has no more than 64 bits: for hours.
        if cycles < 1 << 44 { return cycles &* 1_000_000 / UInt64(tscKHz) }
        let product = cycles.multipliedFullWidth(by: 1_000_000)
        // Too long for 64 bits of nanoseconds: centuries.
        guard product.high < UInt64(tscKHz) else { return .max }
        return UInt64(tscKHz).dividingFullWidth(product).quotient
    }
}
