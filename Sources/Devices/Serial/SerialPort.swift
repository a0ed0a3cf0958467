import Host

/// The first serial port, COM1, on the guest's console.
public struct SerialPort: Component {
    /// Where a PC has COM1.
    package static let ports: ClosedRange<UInt16> = 0x3F8...0x3FF
    /// The interrupt of COM1 on a PC.
    package static let interrupt: UInt8 = 4

    /// The serial port.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let machine = attachments.machine
        let line = try attachments.interruptLine(UInt32(Self.interrupt), for: "serial port")
        let (console, panicWatch, inputBell) = (machine.console, machine.panicWatch, machine.inputBell)
        let serial = Serial16550(
            interrupt: { line.setLevel(isHigh: $0) },
            transmit: { byte in
                panicWatch.see(byte)
                console.write(byte)
            },
            roomToReceive: { inputBell.ring() })
        attachments.ports(serial, named: "serial port", at: Self.ports)
        try attachments.describe(
            .device("COM1", identity: "PNP0501", resources: [.ports(Self.ports), .interrupt(Self.interrupt)]))
        attachments.description.hasLegacyDevices = true
        attachments.serial = serial
        attachments.receiver = serial
    }
}
