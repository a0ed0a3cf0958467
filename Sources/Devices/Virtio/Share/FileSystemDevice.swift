import CKVM
import Host
import Memory

/// The virtio file system device: a folder of the host, by the FUSE protocol.
///
/// A worker serves both queues on a thread of its own, a request at a time: first those of the queue for what comes before
/// all else, in which the guest forgets files. No vCPU waits for the host's file system.
///
/// There is no shared memory region (DAX), and no notification of what changes on the host.
///
/// Source: virtio 1.2, section 5.11 "File System Device".
package final class FileSystemDevice: VirtioDevice {
    package static let kind = VirtioKind.fileSystem
    /// The queue for what comes before all else, and the one for requests. Of a request's descriptors four are not for
    /// data, so that one of 1 MiB fits into the second.
    static let queueSizes: [UInt16] = [128, 512]
    /// The bytes of a tag. Source: section 5.11.4.
    static let longestTag = 36

    package let features: UInt64 = 0
    private let server: Locked<FUSEServer>
    private let link: VirtioLink
    private let bell: Doorbell
    private let isEnding: @Sendable () -> Bool

    /// A file system device.
    ///
    /// - Parameters:
    ///   - folder: What the guest is given.
    ///   - bell: What wakes ``work(_:)``.
    ///   - isEnding: Whether the run is being ended.
    init(
        _ folder: SharedFolder, _ link: VirtioLink, bell: Doorbell, isEnding: @escaping @Sendable () -> Bool
    ) {
        server = Locked(FUSEServer(folder))
        self.link = link
        self.bell = bell
        self.isEnding = isEnding
    }

    package func start() { bell.ring() }
    package func notify(_ queue: Int) { bell.ring() }
    package func reset() {}

    /// Serves the guest until the run ends. On a thread of its own.
    func work(_ control: Worker.Control) {
        bell.forEachRing(until: control.descriptor) {
            server.withLock { server in
                while !isEnding(), serve(0, &server) || serve(1, &server) {}
            }
        }
    }

    private func serve(_ queue: Int, _ server: inout FUSEServer) -> Bool {
        link.serveOne(queue) { chain throws(VirtqueueFault) in
            try server.serve(chain.readable, chain.writable)
        }
    }

    /// What the driver reads of a file system. Source: section 5.11.4 "Device configuration layout".
    static func configuration(tag: [UInt8]) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(tag.prefix(longestTag) + [UInt8](repeating: 0, count: longestTag - min(longestTag, tag.count)))
        // The number of queues for requests.
        builder.add(UInt32(1))
        return builder.bytes
    }
}

/// A folder of the host for the guest, by virtio.
public struct VirtioShare: Component {
    private let folder: SharedFolder
    private let tag: String

    /// A folder.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - tag: The name by which the guest mounts it: 1 to 36 bytes.
    public init(_ folder: SharedFolder, tag: String) {
        self.folder = folder
        self.tag = tag
    }

    public func attach(to attachments: inout Attachments) throws {
        let bytes = ForeignText.bytes(tag)
        let limit = FileSystemDevice.longestTag
        guard (1...limit).contains(bytes.count), !bytes.contains(0) else { throw ShareError.tag(tag, limit: limit) }
        let number = attachments.virtioCount(of: Self.name)
        let bell = try Doorbell()
        let isEnding = attachments.machine.isEnding
        let device = try attachments.virtio(
            named: "\(Self.name) \(number)", queueSizes: FileSystemDevice.queueSizes,
            configuration: FileSystemDevice.configuration(tag: bytes), bells: [bell]
        ) { link in
            FileSystemDevice(folder, link, bell: bell, isEnding: isEnding)
        }
        let isReadOnly = folder.isReadOnly
        attachments.worker(named: "share \(number)") { control in
            // The modes of files are what the guest makes them.
            if !isReadOnly { ckvm_share_own_umask() }
            device.work(control)
        }
    }

    private static let name = "virtio share"
}
