package import Memory

/// The pvpanic device, by which a guest's kernel tells that it has panicked: also where its console is none of ours.
///
/// One port: reads give the events that it takes, writes tell of some. A kernel that has a crash kernel loaded tells of
/// that in place of the panic, and the run goes on for the crash kernel's sake.
///
/// Source: QEMU, docs/specs/pvpanic.rst; Linux, include/uapi/misc/pvpanic.h.
///
/// It has no state. The closure is called on the vCPU's thread.
package final class PanicDevice: PortIODevice {
    private static let panicked: UInt8 = 0x01
    private static let crashLoaded: UInt8 = 0x02

    private let panic: @Sendable () -> Void

    /// Makes a device.
    ///
    /// - Parameter panic: Called when the guest tells of a panic.
    package init(panic: @escaping @Sendable () -> Void) {
        self.panic = panic
    }

    /// Reads which events there are.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(Self.panicked | Self.crashLoaded)
    }

    /// Takes events.
    package func writePort(_ offset: UInt16, width: AccessWidth, value events: UInt32) {
        if UInt8(truncatingIfNeeded: events) & Self.panicked != 0 { panic() }
    }
}

/// The pvpanic device, where QEMU has it on an ISA bus.
public struct PanicNotifier: Component {
    /// Source: QEMU, docs/specs/pvpanic.rst.
    package static let port: UInt16 = 0x505

    /// The device.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let end = attachments.machine.end
        attachments.ports(PanicDevice { end(.panicked) }, named: "pvpanic", at: Self.port...Self.port)
        try attachments.describe(
            .device("PEVT", identity: "QEMU0001", resources: [.ports(Self.port...Self.port)]))
    }
}
