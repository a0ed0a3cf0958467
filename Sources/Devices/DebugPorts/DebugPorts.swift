package import Memory
import Synchronization

/// A console of one port: a byte written is a byte printed. Nothing can be read from it but that it is there.
///
/// Source: the Bochs User Manual, "port_e9_hack".
///
/// It has no state. The closure is called on the vCPU's thread.
package final class DebugConsole: PortIODevice {
    /// What reads give, so that a guest can tell the console from an empty port.
    package static let presence: UInt8 = 0xE9

    private let transmit: @Sendable (UInt8) -> Void

    /// Makes a console.
    ///
    /// - Parameter transmit: Takes each byte; while it waits the guest does.
    package init(transmit: @escaping @Sendable (UInt8) -> Void) {
        self.transmit = transmit
    }

    /// Reads ``presence``.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(Self.presence)
    }

    /// Prints a byte.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        transmit(UInt8(truncatingIfNeeded: value))
    }
}

/// A port that ends the run: the low byte of what is written, whatever the width, is the exit status.
///
/// Source for what reads give: QEMU, hw/misc/debugexit.c.
///
/// It has no state. The closure is called on the vCPU's thread, once for each write.
package final class ExitPort: PortIODevice {
    /// A wide write is one write, not one for each byte.
    package static var widestPortAccess: AccessWidth { .long }

    private let exit: @Sendable (UInt8) -> Void

    /// Makes a port.
    ///
    /// - Parameter exit: Called with the exit status.
    package init(exit: @escaping @Sendable (UInt8) -> Void) {
        self.exit = exit
    }

    /// Reads as 0, so that a guest can tell the port from an empty one.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0 }

    /// Ends the run.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        exit(UInt8(truncatingIfNeeded: value))
    }
}

/// The port for the progress codes of a power-on self-test: it remembers the last one.
///
/// Linux writes to it to pass a microsecond (native_io_delay() in arch/x86/kernel/io_delay.c), which costs an exit here.
///
/// State is one atomic byte.
package final class PostCodePort: PortIODevice {
    private let value = Atomic<UInt8>(0)

    /// Makes a port, with code 0.
    package init() {}

    /// The code that was written last, by whichever vCPU.
    package var lastCode: UInt8 { value.load(ordering: .relaxed) }

    /// Reads the last code.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(lastCode)
    }

    /// Writes a code.
    package func writePort(_ offset: UInt16, width: AccessWidth, value code: UInt32) {
        let code = UInt8(truncatingIfNeeded: code)
        // Most writes only pass the time, with the same code. Without a store the vCPUs share the cache line.
        if value.load(ordering: .relaxed) != code { value.store(code, ordering: .relaxed) }
    }
}

/// The ports that guests under development use: a console of one port, a port that ends the run, and the POST codes.
public struct DebugPorts: Component {
    /// The console: the port that Bochs introduced and other machines took over.
    package static let console: UInt16 = 0xE9
    /// The port that ends the run: where other machines put the device that does.
    package static let exit: UInt16 = 0xF4
    /// The progress codes of a power-on self-test, where a PC has them.
    package static let postCode: UInt16 = 0x80

    /// The ports.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let (console, end) = (attachments.machine.console, attachments.machine.end)
        attachments.ports(
            DebugConsole { console.write($0) }, named: "debug console", at: Self.console...Self.console)
        attachments.ports(ExitPort { end(.exit($0)) }, named: "exit port", at: Self.exit...Self.exit)
        attachments.ports(PostCodePort(), named: "POST codes", at: Self.postCode...Self.postCode)
    }
}
