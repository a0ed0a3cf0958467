public import Counters

/// A run's exits in Chrome's trace format, which Perfetto and chrome://tracing show.
///
/// Every exit is a complete event on its vCPU's track; those that KVM settled, where they were kept, on a track of their
/// own under it, from the exit to the next entry. Times are in microseconds from the start of the run, to the
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
        for track in trace.kernelTracks {
            try sink(Self.bytes(opening(of: track)))
            for piece in track.events.chunks(of: Self.pieceLength) { try sink(Self.bytes(lines(piece, track.vcpu))) }
        }
        try sink(Self.bytes("\n]}\n"))
    }

    private static func bytes(_ text: String) -> ArraySlice<UInt8> {
        Array(text.utf8)[...]
    }

    private var opening: String {
        let frequency = tscKHz.map { String($0) } ?? "null"
        return #"{"displayTimeUnit":"ns","otherData":{"program":"MiniVMM","tsc_khz":\#(frequency),"#
            + "\"lost_exits\":\(trace.lostCount)\(kernelLoss)},\"traceEvents\":[\n"
            + #"{"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"guest"}}"#
    }

    private func opening(of track: ExitTrace.Track<TraceEvent>) -> String {
        ",\n" + #"{"name":"thread_name","ph":"M","pid":1,"tid":\#(track.vcpu),"args":{"name":"vCPU \#(track.vcpu)"}}"#
    }
}

/// What KVM settled.
extension TraceReport {
    /// How many of KVM's exits are in one piece.
    private static let pieceLength = 400
    /// The numbers of KVM's tracks: above all that vCPUs have.
    private static let firstKernelTrack = 100_000

    private var kernelLoss: String {
        trace.kernelTracks.isEmpty ? "" : ",\"lost_kernel_exits\":\(trace.kernelLostCount)"
    }

    /// The track's name, and its place: under the vCPU's own.
    private func opening(of track: ExitTrace.Track<KernelTraceEvent>) -> String {
        let number = Self.firstKernelTrack + track.vcpu
        return [(track.vcpu, 2 * track.vcpu), (number, 2 * track.vcpu + 1)].map { number, place in
            ",\n" + #"{"name":"thread_sort_index","ph":"M","pid":1,"tid":\#(number),"args":{"sort_index":\#(place)}}"#
        }.joined() + ",\n"
            + #"{"name":"thread_name","ph":"M","pid":1,"tid":\#(number),"args":{"name":"vCPU \#(track.vcpu) in KVM"}}"#
    }

    private func lines(_ events: ArraySlice<KernelTraceEvent>, _ vcpu: Int) -> String {
        let format = TraceLineFormat(vcpu: vcpu, origin: trace.origin, tscKHz: tscKHz)
        var text = ""
        for event in events {
            let (start, length) = format.span(event.start, event.cycles)
            text += ",\n{\"name\":\"\(event.name)\",\"cat\":\"kvm\",\"ph\":\"X\",\"pid\":1,"
            text += "\"tid\":\(Self.firstKernelTrack + vcpu),"
            text += "\"ts\":\(Self.microseconds(start)),\"dur\":\(Self.microseconds(length)),"
            text += "\"args\":{\"handler_ns\":\(event.nanoseconds),\"asleep_ns\":\(event.nanosecondsHalted)}}"
        }
        return text
    }

    /// Nanoseconds as microseconds with three digits after the point.
    private static func microseconds(_ nanoseconds: UInt64) -> String {
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1000)
        let digits = String(rest)
        return "\(whole)." + String(repeating: "0", count: 3 - digits.count) + digits
    }
}

extension KernelTraceEvent {
    /// What the exit is called: the SDM's reason, else the processor's own number.
    fileprivate var name: String { KernelSettledExits.Row.name(code: code, reason: reason, isSVM: isSVM) }
}

extension Array {
    /// The elements in slices of the given length, the last one as long as there are.
    fileprivate func chunks(of length: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: count, by: length).map { self[$0..<Swift.min($0 + length, count)] }
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

    init(_ track: ExitTrace.Track<TraceEvent>, origin: UInt64, tscKHz: UInt32?) {
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

    /// When something began since the start of the run, and how long it took, in nanoseconds.
    @inline(__always)
    func span(_ tsc: UInt64, _ cycles: UInt64) -> (start: UInt64, length: UInt64) {
        // An exit before the start is not possible but on a processor whose counter lags behind.
        let start = tsc > origin ? tsc &- origin : 0
        let from = nanoseconds(start)
        // Both ends are rounded the same way, so that exits do not overlap and their lengths add up.
        return (from, nanoseconds(start &+ cycles) &- from)
    }

    /// Appends an exit's line to a text that has room for it.
    @inline(__always)
    package func append(_ event: TraceEvent, to text: inout ByteText) {
        let (from, length) = span(event.start, event.cycles)
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
