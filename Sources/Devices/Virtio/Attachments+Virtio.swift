public import Host
package import Memory

/// What can carry notifications and interrupts between a guest and a device without an exit to this process.
package protocol NotificationPaths: Sendable {
    /// Has a bell ring at each write of 32 bits to an address.
    ///
    /// - Parameter value: The value at which it rings; nil for any.
    /// - Returns: Whether it does. If not, such writes are exits.
    func ring(_ bell: Doorbell, atWritesTo address: GuestPhysicalAddress, of value: UInt32?) -> Bool

    /// Has an interrupt line pulse at each ring of a bell.
    ///
    /// - Returns: Whether it does.
    func pulse(_ line: UInt32, atRingsOf bell: Doorbell) -> Bool
}

/// A virtio device of a machine.
package struct VirtioAttachment: Sendable {
    /// What kind of device it is.
    package let kind: VirtioKind
    /// What it shares with its transport: its name, and what it has done.
    package let link: VirtioLink
    /// Whether the guest's notifications reach it without an exit to this process.
    package let isNotifiedByKernel: Bool
    /// The frames of a network device.
    package var counts: NetworkCounts?
}

/// Where virtio devices are.
package enum VirtioPlaces {
    /// The first device's registers; the others follow, a page each. In the gap below 4 GiB, where no memory is.
    package static let start = GuestPhysicalAddress(0xd000_0000)
    /// The bytes of each device's registers.
    package static let size: UInt64 = 0x1000
    /// The interrupts that they have, in order: first those that no PC's device has.
    package static let lines: [UInt32] = Array(16...23) + [10, 11, 14, 15, 7, 5]
}

extension Attachments {
    /// How many virtio devices there are whose names begin so: the next one's number.
    func virtioCount(of name: String) -> Int {
        virtioDevices.count { $0.link.name.hasPrefix(name) }
    }

    /// Puts a virtio device at the next place, and tells the guest of it.
    ///
    /// - Parameters:
    ///   - name: What reports call the device.
    ///   - queueSizes: The most elements that each queue can have; powers of two.
    ///   - configuration: What the driver reads of the device's kind.
    ///   - bells: What wakes the device's workers, if it has any: then notifications may be rings alone. One for all queues,
    ///     or one for each.
    ///   - make: Makes the device.
    /// - Returns: The device.
    /// - Throws: ``VirtioError`` when there is no room, or the guest does not read ACPI; `ResourceError`.
    package mutating func virtio<Device: VirtioDevice>(
        named name: String, queueSizes: [UInt16], configuration: [UInt8] = [], bells: [Doorbell] = [],
        _ make: (VirtioLink) -> Device
    ) throws -> Device {
        guard machine.readsACPI else { throw VirtioError.notDescribed(name) }
        let index = virtioDevices.count
        guard let number = VirtioPlaces.lines.first(where: { isFree($0) }) else {
            throw VirtioError.tooMany(name, maximum: index)
        }
        let line = try interruptLine(number, for: name)
        let start = VirtioPlaces.start &+ UInt64(index) * VirtioPlaces.size
        let link = VirtioLink(
            name: name, queueSizes: queueSizes, configuration: configuration, memory: machine.memory,
            interrupt: try interrupt(number, line), isEnding: machine.isEnding)
        let device = make(link)
        try mmio(VirtioTransport(device, link), named: name, at: start, size: VirtioPlaces.size)
        let notification = start &+ VirtioRegister.queueNotify
        // What is written is the queue's number.
        let isNotifiedByKernel =
            !bells.isEmpty
            && bells.enumerated().allSatisfy { queue, bell in
                machine.paths?.ring(bell, atWritesTo: notification, of: bells.count > 1 ? UInt32(queue) : nil) ?? false
            }
        virtioDevices.append(VirtioAttachment(kind: Device.kind, link: link, isNotifiedByKernel: isNotifiedByKernel))
        try describe(Self.node(index, start, number))
        return device
    }

    /// The way of a device's interrupts.
    private func interrupt(_ number: UInt32, _ line: InterruptLine) throws(ResourceError) -> VirtioInterrupt {
        guard let paths = machine.paths else { return .line(line) }
        let bell = try Doorbell()
        return paths.pulse(number, atRingsOf: bell) ? .bell(bell) : .line(line)
    }

    /// How ACPI tells of a device. Source: Linux, drivers/virtio/virtio_mmio.c, virtio_mmio_acpi_match.
    private static func node(_ index: Int, _ start: GuestPhysicalAddress, _ line: UInt32) throws(ACPIError) -> AMLTerm {
        let resources: [AMLResource] = [
            .memory(start: UInt32(truncatingIfNeeded: start.rawValue), size: UInt32(VirtioPlaces.size)),
            .globalInterrupt(line),
        ]
        return try .device(
            "VR\(Hex.digits(UInt8(truncatingIfNeeded: index), 2).uppercased())",
            [
                .name("_HID", .identity("LNRO0005")),
                .name("_UID", .integer(UInt64(index))),
                .name("_CRS", .resourceTemplate(resources)),
            ])
    }
}

/// Why a machine cannot have a virtio device.
public enum VirtioError: Error, Hashable, Sendable {
    /// The guest reads no ACPI tables, which is how it would learn of the device.
    case notDescribed(String)
    /// There is no interrupt left.
    case tooMany(String, maximum: Int)
}

extension VirtioError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notDescribed(let name):
            "This guest does not read ACPI tables, which is how guests learn of a device such as \(name)."
        case .tooMany(let name, let maximum):
            "There is no interrupt left for \(name): a machine has them for \(maximum) virtio devices."
        }
    }
}
