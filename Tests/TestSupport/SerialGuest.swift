@testable import Devices
import Dispatch
@testable import Memory

/// A guest's driver of a serial port: it sleeps until there is an interrupt, and reads what there is.
final class SerialGuest: Sendable {
    let port: Serial16550
    private let interrupt: DispatchSemaphore

    /// A guest that listens.
    init(roomToReceive: @escaping @Sendable () -> Void) {
        let interrupt = DispatchSemaphore(value: 0)
        self.interrupt = interrupt
        port = Serial16550(
            interrupt: { if $0 { interrupt.signal() } },
            transmit: { _ in },
            roomToReceive: roomToReceive
        )
        port.writePort(SerialHarness.fcr, width: .byte, value: 0x81)
        port.writePort(SerialHarness.mcr, width: .byte, value: 0x0B)
        port.writePort(SerialHarness.ier, width: .byte, value: 0x05)
    }

    /// Receives a number of bytes, or fewer if no more come.
    func receive(_ count: Int) -> [UInt8] {
        var received: [UInt8] = []
        while received.count < count {
            guard interrupt.wait(timeout: .now() + 10) == .success else { break }
            while port.readPort(SerialHarness.iir, width: .byte) & 0x01 == 0 {
                while port.readPort(SerialHarness.lsr, width: .byte) & 0x01 != 0 {
                    received.append(UInt8(port.readPort(SerialHarness.rbr, width: .byte)))
                }
            }
        }
        return received
    }
}
