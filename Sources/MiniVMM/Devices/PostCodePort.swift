import Synchronization

/// The port for the progress codes of a power-on self-test: it remembers the last one.
///
/// Linux writes to it to pass a microsecond (native_io_delay() in arch/x86/kernel/io_delay.c), which costs an exit here.
///
/// State is one atomic byte.
public final class PostCodePort: PortIODevice {
    private let value = Atomic<UInt8>(0)

    /// Makes a port, with code 0.
    public init() {}

    /// The code that was written last, by whichever vCPU.
    public var lastCode: UInt8 { value.load(ordering: .relaxed) }

    /// Reads the last code.
    public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(lastCode)
    }

    /// Writes a code.
    public func writePort(_ offset: UInt16, width: AccessWidth, value code: UInt32) {
        let code = UInt8(truncatingIfNeeded: code)
        // Most writes only pass the time, with the same code. Without a store the vCPUs share the cache line.
        if value.load(ordering: .relaxed) != code { value.store(code, ordering: .relaxed) }
    }
}
