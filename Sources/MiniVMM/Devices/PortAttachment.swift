/// A device and the ports where a guest finds it.
public struct PortAttachment: Sendable {
    /// What the report calls the device.
    public let name: String
    /// The device's ports.
    public let ports: ClosedRange<UInt16>

    let handler: PortHandler
    let widestAccess: AccessWidth

    /// Puts a device at a range of ports.
    public init(_ device: any PortIODevice, named name: String, at ports: ClosedRange<UInt16>) {
        self.name = name
        self.ports = ports
        (handler, widestAccess) = Self.open(device)
    }

    /// Never specialized: where the device's type is known, the handler's would be looked for by name at run time, among
    /// all conformances of the program; here the existential has brought with it what it takes.
    @_semantics("optimize.sil.specialize.generic.never")
    @inline(never)
    private static func open<Device: PortIODevice>(_ device: Device) -> (PortHandler, AccessWidth) {
        (DevicePortHandler(device), Device.widestPortAccess)
    }
}

/// A device of whatever type behind one virtual call, without the existential that `any PortIODevice` would be.
class PortHandler: @unchecked Sendable {
    // Sound to call Sendable: neither this class nor its only subclass has state that changes.

    func read(_ offset: UInt16, _ width: AccessWidth) -> UInt32 { .max }
    func write(_ offset: UInt16, _ width: AccessWidth, _ value: UInt32) {}
}

/// The device itself.
private final class DevicePortHandler<Device: PortIODevice>: PortHandler, @unchecked Sendable {
    private let device: Device

    init(_ device: Device) {
        self.device = device
    }

    override func read(_ offset: UInt16, _ width: AccessWidth) -> UInt32 {
        device.readPort(offset, width: width)
    }

    override func write(_ offset: UInt16, _ width: AccessWidth, _ value: UInt32) {
        device.writePort(offset, width: width, value: value)
    }
}
