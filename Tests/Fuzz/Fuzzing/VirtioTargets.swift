import Foundation
@testable import Devices
@testable import Host
@testable import Memory

/// Virtio devices, by drivers that may do anything.
enum VirtioTargets {
    /// The memory is small, so that made-up addresses often lie in it.
    private static let memorySize = 0x1_0000
    /// Every queue has so many elements, as its driver says.
    private static let queueSize: UInt64 = 8

    private struct Bench {
        let memory: GuestMemory
        let disk: Disk
        let diskBell: Doorbell
        let over: Worker.Control
        let console: ConsoleSize.Size
        let frames: FramePeer
        let share: SharedFolder
    }

    /// A device with its registers, and what its own thread would do.
    private struct Device {
        let read: (UInt64, AccessWidth) -> UInt64
        let write: (UInt64, AccessWidth, UInt64) -> Void
        let queueCount: Int
        var isShare = false
        var work: () -> Void = {}
        var receive: (ArraySlice<UInt8>) -> Int = { _ in 0 }
    }

    static func virtio() throws -> ([UInt8]) throws -> Void {
        // A file without a name: a disk of 64 sectors.
        guard let unnamed = tmpfile() else { throw CocoaError(.fileWriteUnknown) }
        let file = fileno(unnamed)
        ftruncate(file, 64 * 512)
        let bench = Bench(
            memory: try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: UInt64(memorySize))]),
            disk: try Disk(path: "/proc/self/fd/\(file)"), diskBell: try Doorbell(), over: try Worker.Control(),
            console: ConsoleSize.Size(columns: 80, rows: 25), frames: try FramePeer(), share: try makeShare())
        // Their workers return when there is nothing more to do.
        bench.over.end()
        let zeros = [UInt8](repeating: 0, count: memorySize)
        return { bytes in
            try bench.memory.write(zeros, at: GuestPhysicalAddress(0))
            var input = FuzzInput(bytes)
            let device = make(input.number(UInt8.self), bench)
            try start(device, bench.memory, features: input.number(UInt32.self))
            while !input.isEmpty { try step(device, bench.memory, &input) }
            device.write(VirtioRegister.status, .long, 0)
            device.work()
            if device.isShare { try empty(bench.share) }
        }
    }

    /// A folder for all inputs, beside which a file must stay as it is. A guest's files take no more room on the disk than
    /// what it writes: an allocation is refused.
    private static func makeShare() throws -> SharedFolder {
        let outer = FileManager.default.temporaryDirectory.path + "/minivmm-fuzz-\(getpid())"
        try FileManager.default.createDirectory(atPath: outer + "/shared", withIntermediateDirectories: true)
        try Data(secret).write(to: URL(fileURLWithPath: outer + "/secret"))
        var calls = ShareCalls()
        calls.allocate = { _, _, _, _ in -EOPNOTSUPP }
        let share = try SharedFolder(path: outer + "/shared", isReadOnly: false, calls: calls)
        try fill(share.path)
        return share
    }

    // An array: the leak sanitizer does not find a pointer to memory in what Data keeps.
    private static let secret = Array("nobody's business".utf8)

    private static func fill(_ path: String) throws {
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: path + "/a"))
        try FileManager.default.createDirectory(atPath: path + "/b", withIntermediateDirectories: false)
        symlink("../secret", path + "/c")
    }

    /// Makes the folder what it was, and looks whether a guest has got out of it.
    private static func empty(_ share: SharedFolder) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: share.path) {
            try FileManager.default.removeItem(atPath: "\(share.path)/\(name)")
        }
        try fill(share.path)
        let outer = (share.path as NSString).deletingLastPathComponent
        let found = try Data(contentsOf: URL(fileURLWithPath: outer + "/secret"))
        check(found.elementsEqual(secret), "the secret was changed")
        check(try FileManager.default.contentsOfDirectory(atPath: outer).count == 2, "something is beside the folder")
    }

    private static func make(_ number: UInt8, _ bench: Bench) -> Device {
        switch number % 5 {
        case 0:
            let configuration = BlockDevice.configuration(of: bench.disk)
            let link = link(bench.memory, BlockDevice.queueSizes, configuration)
            let block = BlockDevice(
                bench.disk, identity: "disk", link, bell: bench.diskBell, isEnding: { false })
            var device = device(block, link, 1)
            device.work = { block.work(bench.over) }
            return device
        case 1:
            let link = link(bench.memory, EntropyDevice.queueSizes, [])
            return device(EntropyDevice(link), link, 1)
        case 3: return network(bench)
        case 4:
            let link = link(
                bench.memory, FileSystemDevice.queueSizes, FileSystemDevice.configuration(tag: Array("tag".utf8)))
            let share = FileSystemDevice(bench.share, link, bell: bench.diskBell, isEnding: { false })
            var device = device(share, link, 2)
            device.isShare = true
            device.work = { share.work(bench.over) }
            return device
        default:
            let link = link(bench.memory, VirtioConsole.queueSizes, VirtioConsole.configuration(bench.console))
            let console = VirtioConsole(
                link, size: bench.console, write: { check($0.count <= memorySize, "\($0.count)") }, roomToReceive: {})
            var device = device(console, link, VirtioConsole.queueSizes.count)
            device.receive = { console.isReadyToReceive() ? console.receive($0) : 0 }
            return device
        }
    }

    /// A network interface whose other side says what the input does, as it is: what is no frame, too.
    private static func network(_ bench: Bench) -> Device {
        let (backend, peer) = bench.frames.connect()
        let configuration = NetworkDevice.configuration(backend, .ofGuest)
        let link = link(bench.memory, NetworkDevice.queueSizes, configuration)
        let network = NetworkDevice(
            backend, address: .ofGuest, link, bells: bench.frames.bells, isEnding: { false })
        var device = device(network, link, NetworkDevice.queueSizes.count)
        var taken = [UInt8](repeating: 0, count: 1 << 16)
        // What its threads keep from one time to the next.
        var transmitter = NetworkTransmitter(backend, network.counts)
        var receiver = NetworkReceiver(backend, network.counts)
        device.work = {
            network.start()
            network.send(bench.over, by: &transmitter)
            network.receive(bench.over, by: &receiver)
            // What nobody takes would fill the socket.
            while recv(peer, &taken, taken.count, Int32(MSG_DONTWAIT)) > 0 {}
        }
        device.receive = { bytes in
            let frame = [0, 0, 0, UInt8(truncatingIfNeeded: bytes.count)] + bytes
            return max(0, send(peer, frame, frame.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) - 4)
        }
        return device
    }

    private static func link(_ memory: GuestMemory, _ sizes: [UInt16], _ configuration: [UInt8]) -> VirtioLink {
        VirtioLink(
            name: "device", queueSizes: sizes, configuration: configuration, memory: memory,
            interrupt: .line(InterruptLine { _ in }), isEnding: { false })
    }

    private static func device(_ device: some VirtioDevice, _ link: VirtioLink, _ queueCount: Int) -> Device {
        let transport = VirtioTransport(device, link)
        return Device(read: transport.readMMIO, write: transport.writeMMIO, queueCount: queueCount)
    }

    /// Sets the device up as a driver does that means well, with chains of descriptors that are right to begin with:
    /// what the input does to them then goes far. A queue has its three parts in the page of its number plus 1.
    private static func start(_ device: Device, _ memory: GuestMemory, features: UInt32) throws {
        for status: UInt64 in [0, 1, 3] { device.write(VirtioRegister.status, .long, status) }
        device.write(VirtioRegister.driverFeatures, .long, UInt64(features))
        device.write(VirtioRegister.driverFeaturesSelector, .long, 1)
        device.write(VirtioRegister.driverFeatures, .long, 1)
        device.write(VirtioRegister.status, .long, 0xb)
        for queue in 0..<UInt64(device.queueCount) {
            let base = 0x1000 * (queue + 1)
            device.write(VirtioRegister.queueSelector, .long, queue)
            device.write(VirtioRegister.queueSize, .long, queueSize)
            device.write(VirtioRegister.queueDescriptorsLow, .long, base)
            device.write(VirtioRegister.queueDriverLow, .long, base + 0x400)
            device.write(VirtioRegister.queueDeviceLow, .long, base + 0x800)
            device.write(VirtioRegister.queueReady, .long, 1)
            for index in 0..<queueSize {
                // Chains of three: what is read, and what is written at their end.
                let isLast = index % 3 == 2 || index == queueSize - 1
                let place = GuestPhysicalAddress(base + 16 * index)
                try memory.store(0x8000 + 0x200 * index, at: place)
                try memory.store(UInt32(index % 3 == 0 ? 16 : 512), at: place &+ 8)
                try memory.store(UInt16((isLast ? 0 : 1) | (index % 3 == 2 ? 2 : 0)), at: place &+ 12)
                try memory.store(UInt16(index + 1), at: place &+ 14)
            }
        }
        device.write(VirtioRegister.status, .long, 0xf)
    }

    /// One thing that a driver, or the world outside, does: 8 bytes.
    private static func step(_ device: Device, _ memory: GuestMemory, _ input: inout FuzzInput) throws {
        let (what, number) = (input.number(UInt8.self), UInt64(input.number(UInt8.self)))
        let (offset, value) = (UInt64(input.number(UInt16.self)), input.number(UInt32.self))
        let width: AccessWidth = [.long, .long, .word, .byte][Int(what >> 6)]
        switch what & 7 {
        case 0: try memory.store(value, at: GuestPhysicalAddress(offset & 0xfffc))
        case 1: try memory.store(UInt16(truncatingIfNeeded: value), at: GuestPhysicalAddress(offset & 0xfffe))
        case 2: device.write(number * 4, width, UInt64(value) & width.allOnes)
        case 3:
            let read = device.read(offset & 0xfff, width)
            check(read & ~width.allOnes == 0, "more than \(width) from \(offset)")
        case 4, 5:
            // Makes a chain available, at the next place of the ring, and says so.
            let ring = GuestPhysicalAddress(0x1000 * (number % 4 + 1) + 0x400)
            let index = try memory.load(UInt16.self, at: ring &+ 2)
            let place = ring &+ (4 + 2 * (UInt64(index) % queueSize))
            try memory.store(UInt16(truncatingIfNeeded: value), at: place)
            try memory.store(index &+ 1, at: ring &+ 2)
            device.write(VirtioRegister.queueNotify, .long, number % 4)
        case 6: device.work()
        default:
            let count = Int(number)
            let taken = device.receive([UInt8](repeating: UInt8(value & 0xff), count: count)[...])
            check(taken <= count, "took \(taken) of \(count)")
        }
    }
}

/// The other side of a network interface.
private final class FramePeer {
    let bells: NetworkDevice.Bells
    private var peer: Int32 = -1

    init() throws {
        bells = try NetworkDevice.Bells()
    }

    /// A new pair of sockets, in place of the last.
    func connect() -> (backend: NetworkBackend, peer: Int32) {
        if peer >= 0 { close(peer) }
        var ends: [Int32] = [-1, -1]
        check(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0, "no sockets")
        peer = ends[1]
        return (.socket(FrameSocket(takingOver: ends[0], mtu: 1500)), peer)
    }
}
