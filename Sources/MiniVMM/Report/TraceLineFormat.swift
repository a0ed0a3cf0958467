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
    func append(_ event: TraceEvent, to text: inout ByteText) {
        // An exit before the start is not possible but on a processor whose counter lags behind.
        let start = event.start > origin ? event.start &- origin : 0
        let from = nanoseconds(start)
        // Both ends are rounded the same way, so that exits do not overlap and their lengths add up.
        let length = nanoseconds(start &+ event.cycles) &- from
        let kind = event.kind
        let opening = kind.rawValue == 0 ? 0 : openingEnds[kind.rawValue - 1]
        openings.withUnsafeBufferPointer { text.append($0[opening..<openingEnds[kind.rawValue]]) }
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
