/// A port that ends the run: the low byte of what is written, whatever the width, is the exit status.
///
/// It has no state. The closure is called on the vCPU's thread, once for each write.
public final class ExitPort: PortIODevice {
    /// A wide write is one write, not one for each byte.
    public static var widestPortAccess: AccessWidth { .long }

    private let exit: @Sendable (UInt8) -> Void

    /// Makes a port.
    ///
    /// - Parameter exit: Called with the exit status.
    public init(exit: @escaping @Sendable (UInt8) -> Void) {
        self.exit = exit
    }

    /// Reads as an empty port does.
    public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(truncatingIfNeeded: width.allOnes)
    }

    /// Ends the run.
    public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        exit(UInt8(truncatingIfNeeded: value))
    }
}
