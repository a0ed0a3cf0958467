@testable import Devices
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// A driver of a virtio device, without a guest: it sets the device up as Linux does, and makes requests.
final class VirtioDriver {
    /// What a driver has found in the used ring.
    struct Used: Hashable {
        let head: UInt16
        let written: Int
    }

    /// A queue of the driver.
    struct Queue: Sendable {
        let size: UInt16
        let base: UInt64
        var nextDescriptor: UInt16 = 0
        var available: UInt16 = 0
        var seen: UInt16 = 0

        var descriptors: UInt64 { base }
        var driver: UInt64 { base &+ 0x1000 }
        var device: UInt64 { base &+ 0x2000 }
    }

    /// The interrupts that were raised.
    final class Interrupts: Sendable {
        let count = Atomic<Int>(0)
    }

    static let memorySize: UInt64 = 1 << 20
    /// Behind the queues: the buffers of requests.
    static let buffers: UInt64 = 0x4_0000

    let memory: GuestMemory
    let link: VirtioLink
    let interrupts: Interrupts
    private(set) var queues: [Queue] = []
    var features: UInt64 = 1 << 32
    private let readRegister: (UInt64, AccessWidth) -> UInt64
    /// Writes a register, on any thread.
    let writeRegister: @Sendable (UInt64, AccessWidth, UInt64) -> Void
    private var nextBuffer = buffers

    init<Device: VirtioDevice>(
        queueSizes: [UInt16], configuration: [UInt8] = [], make: (VirtioLink) -> Device
    ) throws {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: Self.memorySize)])
        let interrupts = Interrupts()
        let line = InterruptLine { if $0 { interrupts.count.add(1, ordering: .sequentiallyConsistent) } }
        let link = VirtioLink(
            name: "device", queueSizes: queueSizes, configuration: configuration, memory: memory,
            interrupt: .line(line), isEnding: { false })
        let transport = VirtioTransport(make(link), link)
        (self.memory, self.link, self.interrupts) = (memory, link, interrupts)
        readRegister = transport.readMMIO
        writeRegister = transport.writeMMIO
    }

    /// A driver, and the device that it drives.
    static func making<Device: VirtioDevice>(
        queueSizes: [UInt16], configuration: [UInt8] = [], make: (VirtioLink) -> Device
    ) throws -> (driver: VirtioDriver, device: Device) {
        var made: Device?
        let driver = try VirtioDriver(queueSizes: queueSizes, configuration: configuration) { link in
            let device = make(link)
            made = device
            return device
        }
        return (driver, try XCTUnwrap(made))
    }

    var interruptCount: Int { interrupts.count.load(ordering: .sequentiallyConsistent) }

    func read(_ register: UInt64, _ width: AccessWidth = .long) -> UInt64 { readRegister(register, width) }

    func write(_ register: UInt64, _ value: UInt64, _ width: AccessWidth = .long) {
        writeRegister(register, width, value)
    }

    /// The status.
    var status: VirtioStatus { VirtioStatus(rawValue: UInt32(read(VirtioRegister.status))) }

    /// Offers the device features, and says whether it took them.
    func negotiate() -> Bool {
        write(VirtioRegister.status, 0)
        write(VirtioRegister.status, 1)
        write(VirtioRegister.status, 3)
        for half: UInt64 in 0...1 {
            write(VirtioRegister.driverFeaturesSelector, half)
            write(VirtioRegister.driverFeatures, features >> (32 * half) & 0xffff_ffff)
        }
        write(VirtioRegister.status, 0xb)
        return status.contains(.featuresAccepted)
    }

    /// Sets a queue up.
    func prepare(_ index: Int, _ queue: Queue) {
        write(VirtioRegister.queueSelector, UInt64(index))
        write(VirtioRegister.queueSize, UInt64(queue.size))
        let parts = [
            (VirtioRegister.queueDescriptorsLow, queue.descriptors), (VirtioRegister.queueDriverLow, queue.driver),
            (VirtioRegister.queueDeviceLow, queue.device),
        ]
        for (register, address) in parts {
            write(register, address & 0xffff_ffff)
            write(register + 4, address >> 32)
        }
        write(VirtioRegister.queueReady, 1)
    }

    /// Sets the device up, with queues that have been cleared.
    func start(sizes: [UInt16]) throws { XCTAssertTrue(try startAnyhow(sizes: sizes)) }

    /// The same, and goes on where the device does not take the features.
    ///
    /// - Returns: Whether it took them.
    @discardableResult
    func startAnyhow(sizes: [UInt16]) throws -> Bool {
        let isAccepted = negotiate()
        queues = sizes.enumerated().map { Queue(size: $1, base: 0x4000 * UInt64($0 + 1)) }
        for (index, queue) in queues.enumerated() {
            try memory.write([UInt8](repeating: 0, count: 0x4000), at: GuestPhysicalAddress(queue.base))
            prepare(index, queue)
        }
        write(VirtioRegister.status, 0xf)
        nextBuffer = Self.buffers
        return isAccepted
    }

    /// A piece of memory for a buffer.
    func allocate(_ count: Int) -> UInt64 {
        let size = UInt64((count + 15) / 16 * 16)
        if nextBuffer + size > Self.memorySize { nextBuffer = Self.buffers }
        defer { nextBuffer += size }
        return nextBuffer
    }

    private static func descriptor(_ address: UInt64, _ length: Int, _ flags: UInt16, _ next: UInt16) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(address)
        builder.add(UInt32(length))
        builder.add(flags)
        builder.add(next)
        return builder.bytes
    }

    /// Writes a descriptor of a queue's table.
    func setDescriptor(_ queue: Int, _ index: UInt16, _ address: UInt64, _ length: Int, _ flags: UInt16, _ next: UInt16)
        throws
    {
        try memory.write(
            Self.descriptor(address, length, flags, next),
            at: GuestPhysicalAddress(queues[queue].descriptors + 16 * UInt64(index)))
    }

    /// Makes a chain available without notifying.
    func publish(_ queue: Int, head: UInt16) throws {
        let slot = queues[queue].available & (queues[queue].size - 1)
        let ring = queues[queue].driver
        try memory.store(head, at: GuestPhysicalAddress(ring + 4 + 2 * UInt64(slot)))
        queues[queue].available &+= 1
        try memory.store(queues[queue].available, at: GuestPhysicalAddress(ring + 2))
    }

    func notify(_ queue: Int) { write(VirtioRegister.queueNotify, UInt64(queue)) }

    /// Makes a request, and notifies the device.
    ///
    /// - Returns: Its first descriptor, and the addresses of the buffers to be written.
    @discardableResult
    func submit(
        _ queue: Int, readable: [[UInt8]], writable: [Int] = [], isIndirect: Bool = false, notifies: Bool = true
    ) throws -> (head: UInt16, buffers: [UInt64]) {
        var parts: [(address: UInt64, count: Int, flags: UInt16)] = []
        for bytes in readable {
            let address = allocate(bytes.count)
            try memory.write(bytes, at: GuestPhysicalAddress(address))
            parts.append((address, bytes.count, 0))
        }
        for count in writable { parts.append((allocate(count), count, 2)) }
        let size = queues[queue].size
        let head = queues[queue].nextDescriptor % size
        if isIndirect {
            let table = allocate(16 * parts.count)
            for (index, part) in parts.enumerated() {
                let isLast = index == parts.count - 1
                try memory.write(
                    Self.descriptor(part.address, part.count, part.flags | (isLast ? 0 : 1), UInt16(index + 1)),
                    at: GuestPhysicalAddress(table + 16 * UInt64(index)))
            }
            try setDescriptor(queue, head, table, 16 * parts.count, 4, 0)
            queues[queue].nextDescriptor &+= 1
        } else {
            for (index, part) in parts.enumerated() {
                let isLast = index == parts.count - 1
                try setDescriptor(
                    queue, (head + UInt16(index)) % size, part.address, part.count, part.flags | (isLast ? 0 : 1),
                    (head + UInt16(index) + 1) % size)
            }
            queues[queue].nextDescriptor &+= UInt16(parts.count)
        }
        try publish(queue, head: head)
        if notifies { notify(queue) }
        return (head, parts.filter { $0.flags == 2 }.map(\.address))
    }

    /// What the device has given back since this was asked last.
    func used(_ queue: Int) throws -> [Used] {
        let ring = queues[queue].device
        let index: UInt16 = try memory.load(at: GuestPhysicalAddress(ring + 2))
        var all: [Used] = []
        while queues[queue].seen != index {
            let slot = UInt64(queues[queue].seen & (queues[queue].size - 1))
            let head: UInt32 = try memory.load(at: GuestPhysicalAddress(ring + 4 + 8 * slot))
            let written: UInt32 = try memory.load(at: GuestPhysicalAddress(ring + 8 + 8 * slot))
            all.append(Used(head: UInt16(head), written: Int(written)))
            queues[queue].seen &+= 1
        }
        return all
    }

    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try memory.bytes(at: GuestPhysicalAddress(address), count: count)
    }

    /// After which element the driver wants an interrupt, with the event index.
    func wantInterrupt(_ queue: Int, after index: UInt16) throws {
        try memory.store(
            index, at: GuestPhysicalAddress(queues[queue].driver + 4 + 2 * UInt64(queues[queue].size)))
    }
}

/// A device for tests: it gives back what it is handed, as far as there is room, and keeps what it was handed.
final class EchoDevice: VirtioDevice {
    static let kind = VirtioKind.entropy
    let features: UInt64 = 1
    let link: VirtioLink
    let starts = Atomic<Int>(0)
    let resets = Atomic<Int>(0)
    let seen = Locked<[[UInt8]]>([])

    init(_ link: VirtioLink) { self.link = link }

    func start() { starts.add(1, ordering: .relaxed) }
    func reset() { resets.add(1, ordering: .relaxed) }

    func notify(_ queue: Int) {
        link.serve(queue) { chain in
            let bytes = (0..<chain.readable.byteCount).map { chain.readable.load(UInt8.self, at: $0) }
            seen.withLock { $0.append(bytes) }
            return chain.writable.write(bytes[...])
        }
    }
}
