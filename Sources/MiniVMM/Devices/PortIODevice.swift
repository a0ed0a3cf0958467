/// A device that a guest reaches by port I/O.
///
/// Calls come from the threads of vCPUs, from several at once when the guest has several: a device says in its own
/// documentation how it keeps its state in order. A device knows nothing of KVM; what it needs of the machine (an
/// interrupt line, a way to end the run) it is given as a closure when it is made.
public protocol PortIODevice: AnyObject, Sendable {
    /// The widest access that the device understands. The bus splits wider ones into several of this width at
    /// consecutive ports, as an ISA bridge does.
    static var widestPortAccess: AccessWidth { get }

    /// Answers a read of `width` bytes.
    ///
    /// - Parameter offset: The port, counted from the first of the device's range.
    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32

    /// Takes a write of `width` bytes.
    ///
    /// - Parameters:
    ///   - offset: The port, counted from the first of the device's range.
    ///   - value: The value, in the low bytes; the others are 0.
    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32)
}

extension PortIODevice {
    public static var widestPortAccess: AccessWidth { .byte }
}
