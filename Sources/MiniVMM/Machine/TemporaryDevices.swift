final class TmpSink: PortIODevice {
    let sink: @Sendable (UInt8) -> Void
    init(_ sink: @escaping @Sendable (UInt8) -> Void) { self.sink = sink }
    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0x60 }
    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        if offset == 0 { sink(UInt8(truncatingIfNeeded: value)) }
    }
}
