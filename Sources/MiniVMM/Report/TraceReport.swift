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
    /// - Parameter tscKHz: The frequency of the time-stamp counter in kHz, if it is known.
    public init(_ trace: ExitTrace, tscKHz: UInt32?) {
        self.trace = trace
        self.tscKHz = tscKHz
    }

    /// About how many bytes are handed over at a time.
    private static let chunkSize = 1 << 16

    /// Hands the file over, piece by piece.
    public func write<Failure>(to sink: ([UInt8]) throws(Failure) -> Void) throws(Failure) {
        var text = ByteText()
        text.append(#"{"displayTimeUnit":"ns","otherData":{"program":"MiniVMM","tsc_khz":"#)
        text.append(tscKHz.map { String($0) } ?? "null")
        text.append(#","lost_exits":"#)
        text.append(trace.lostCount)
        text.append("},\"traceEvents\":[\n")
        text.append(#"{"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"guest"}}"#)
        for track in trace.tracks {
            text.append(",\n")
            text.append(#"{"name":"thread_name","ph":"M","pid":1,"tid":"#)
            text.append(UInt64(track.vcpu))
            text.append(#","args":{"name":"vCPU "#)
            text.append(UInt64(track.vcpu))
            text.append("\"}}")
            for event in track.events {
                append(event, track.vcpu, to: &text)
                if text.bytes.count >= Self.chunkSize {
                    try sink(text.bytes)
                    text.removeAll()
                }
            }
        }
        text.append("\n]}\n")
        try sink(text.bytes)
    }

    private func append(_ event: TraceEvent, _ vcpu: Int, to text: inout ByteText) {
        // An exit before the start is not possible but on a processor whose counter lags behind.
        let start = event.start > trace.origin ? event.start &- trace.origin : 0
        let from = nanoseconds(start)
        // Both ends are rounded the same way, so that exits do not overlap and their lengths add up.
        let length = nanoseconds(start &+ event.cycles) &- from
        text.append(",\n{\"name\":\"")
        text.append(event.kind.name)
        text.append(#"","cat":"exit","ph":"X","pid":1,"tid":"#)
        text.append(UInt64(vcpu))
        text.append(#","ts":"#)
        text.append(thousandths: from)
        text.append(#","dur":"#)
        text.append(thousandths: length)
        text.append(#","args":{"cycles":"#)
        text.append(event.cycles)
        appendDetails(event, to: &text)
        text.append("}}")
    }

    private func appendDetails(_ event: TraceEvent, to text: inout ByteText) {
        switch event.kind {
        case .portIn, .portOut:
            text.append(hex: event.subject, key: "port")
            text.append(number: UInt64(event.width), key: "size")
            text.append(number: UInt64(event.extra), key: "count")
        case .mmioRead, .mmioWrite:
            text.append(hex: event.subject, key: "address")
            text.append(number: UInt64(event.width), key: "size")
        case .cpuid:
            text.append(hex: event.subject, key: "leaf")
            text.append(hex: UInt64(event.extra), key: "subleaf")
        case .rdmsr, .wrmsr: text.append(hex: event.subject, key: "msr")
        case .debug: text.append(hex: event.subject, key: "address")
        case .hypercall, .exception, .failEntry, .internalError, .systemEvent, .unknown:
            text.append(number: event.subject, key: "number")
        default: break
        }
    }

    /// Cycles in nanoseconds, rounded down.
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
