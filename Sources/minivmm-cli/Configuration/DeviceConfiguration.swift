import ArgumentParser
import CKVM
import Devices
import Exec
import MiniVMM

/// The devices that a guest has besides those of a PC.
struct DeviceConfiguration: Hashable, Sendable {
    /// What the console is.
    enum Console: String, CaseIterable, Sendable {
        /// The first serial port.
        case serial
        /// A virtio console.
        case virtio
    }

    /// A disk, as the command line has it.
    struct DiskFile: Hashable, Sendable {
        let path: String
        let isReadOnly: Bool

        /// Reads `FILE` or `FILE,ro`.
        init(_ text: String) {
            (path, isReadOnly) = DeviceConfiguration.withoutReadOnly(text)
        }
    }

    /// What stands before `,ro`, and whether that is there.
    private static func withoutReadOnly(_ text: String) -> (String, Bool) {
        let suffix = ",ro"
        return text.hasSuffix(suffix) ? (String(text.dropLast(suffix.count)), true) : (text, false)
    }

    /// A folder of the host for the guest, as the command line has it.
    struct Share: Hashable, Sendable {
        let path: String
        /// The tag by which the guest mounts it, or for a program's guest the path at which it is mounted, if there is one.
        let name: String?
        let isReadOnly: Bool

        /// Reads `HOST`, `HOST:NAME`, or one of these with `,ro` behind it. The last colon divides.
        init(_ text: String) {
            let (text, isReadOnly) = DeviceConfiguration.withoutReadOnly(text)
            self.isReadOnly = isReadOnly
            let colon = text.lastIndex(of: ":")
            path = String(text[..<(colon ?? text.endIndex)])
            name = colon.map { String(text[text.index(after: $0)...]) }
        }
    }

    /// A network interface, as the command line has it.
    struct Network: Hashable, Sendable {
        /// Where its frames go.
        enum Kind: Hashable, Sendable {
            /// A TAP interface.
            case tap(name: String)
            /// A passt that is started.
            case user
            /// A passt that listens.
            case passt(path: String)
        }

        let kind: Kind
        /// The guest's address, if it is chosen.
        let address: MACAddress?

        /// Reads `tap=NAME`, `user` or `passt=PATH`, with `,mac=ADDRESS` behind it or not; nil for anything else.
        init?(_ text: String) {
            var text = text[...]
            var address: MACAddress?
            if let comma = text.lastIndex(of: ","), text[comma...].hasPrefix(Self.addressPrefix) {
                address = MACAddress(String(text[comma...].dropFirst(Self.addressPrefix.count)))
                guard address != nil else { return nil }
                text = text[..<comma]
            }
            self.address = address
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch (parts[0], parts.dropFirst().first) {
            case ("user", nil): kind = .user
            case ("tap", let name?) where !name.isEmpty: kind = .tap(name: name)
            case ("passt", let path?) where !path.isEmpty: kind = .passt(path: path)
            default: return nil
            }
        }

        private static let addressPrefix = ",mac="

        /// Opens where its frames go.
        ///
        /// - Throws: `NetworkError`, `PasstError`, `ResourceError`.
        func open() throws -> VirtioNetwork {
            let backend: NetworkBackend =
                switch kind {
                case .tap(let name): .tap(try TapInterface(name: name))
                case .passt(let path): .socket(try FrameSocket(path: path))
                case .user: .socket(try Passt.start(for: address ?? .ofGuest))
                }
            return VirtioNetwork(backend, address: address)
        }
    }

    /// The disks, in their order.
    var disks: [DiskFile] = []
    /// The network interfaces, in their order.
    var networks: [Network] = []
    /// The folders, in their order.
    var shares: [Share] = []
    /// Whether there are random numbers.
    var hasEntropy = false
    /// What the console is.
    var console = Console.serial
    /// How notifications reach disks, networks and shared folders.
    var notifications = NotificationPath.kernel

    /// Checks what can be checked without the files.
    func validate() throws {
        if disks.contains(where: \.path.isEmpty) { throw ValidationError("--disk takes the path of a file.") }
        if shares.contains(where: { $0.path.isEmpty || $0.name == "" }) {
            throw ValidationError("--share takes the path of a folder, and behind a colon a name.")
        }
    }

    /// Checks that the guest can tell its shared folders apart, by tags of their own.
    func validateTags() throws {
        if shares.contains(where: { $0.name == nil }) {
            throw ValidationError("--share takes HOST:TAG for `run`: the guest mounts the folder by its tag.")
        }
        guard !shares.map(\.name).hasRepetition else { throw ValidationError("Give each --share a tag of its own.") }
    }

    /// The modules of Linux's kernel that the devices of a program's guest need.
    var drivers: [String] {
        let names =
            (disks.isEmpty ? [] : ["virtio_blk"]) + (networks.isEmpty ? [] : ["virtio_net"])
            + (hasEntropy ? ["virtio-rng"] : []) + (shares.isEmpty ? [] : ["virtiofs"])
        return names.isEmpty ? [] : ["virtio_mmio"] + names
    }

    /// The name server of a program's guest, if its first interface has one whose network is known.
    var nameServer: String? { networks.first?.kind == .user ? Passt.nameServer : nil }

    /// Opens the folders that are shared.
    ///
    /// - Throws: `ShareError`.
    func openShares() throws(ShareError) -> [SharedFolder] {
        var folders: [SharedFolder] = []
        for share in shares { folders.append(try SharedFolder(path: share.path, isReadOnly: share.isReadOnly)) }
        return folders
    }

    /// Opens what is to be opened, and adds the devices to a machine's options.
    ///
    /// - Parameters:
    ///   - folders: The folders that are shared, open.
    ///   - tags: Their tags.
    /// - Returns: The size of the console's terminal, where that is of interest.
    /// - Throws: `DiskError`, `NetworkError`, `PasstError`, `ResourceError`.
    func apply(
        to options: inout MachineOptions, sharing folders: [SharedFolder] = [], tags: [String] = []
    ) throws -> ConsoleSize? {
        options.notifications = notifications
        let size = console == .virtio ? ConsoleSize(of: STDOUT_FILENO) : nil
        if let size { options.components.append(VirtioConsolePort(size: size)) }
        if hasEntropy { options.components.append(EntropySource()) }
        for disk in disks {
            options.components.append(VirtioDisk(try Disk(path: disk.path, isReadOnly: disk.isReadOnly)))
        }
        for network in networks { options.components.append(try network.open()) }
        for (folder, tag) in zip(folders, tags) { options.components.append(VirtioShare(folder, tag: tag)) }
        return size
    }
}

// The folders of a program's guest, which mounts them by itself.
extension DeviceConfiguration {
    /// Their tags.
    var shareTags: [String] { shares.indices.map { "share\($0)" } }

    /// The same with where each is mounted.
    var programShares: [ExecShare] {
        zip(shares, shareTags).map { share, tag in
            ExecShare(tag: tag, source: share.path, destination: share.name, isReadOnly: share.isReadOnly)
        }
    }
}

extension ConsoleSize {
    /// The size of the terminal behind a descriptor, if there is one.
    convenience init(of descriptor: Int32) {
        let (columns, rows) = Self.read(descriptor)
        self.init(columns: columns, rows: rows)
    }

    /// Looks whether the size has changed.
    func update(from descriptor: Int32) {
        let (columns, rows) = Self.read(descriptor)
        set(columns: columns, rows: rows)
    }

    private static func read(_ descriptor: Int32) -> (columns: UInt16, rows: UInt16) {
        var size = winsize()
        guard unsafe ckvm_terminal_size(descriptor, &size) == 0 else { return (0, 0) }
        return (size.ws_col, size.ws_row)
    }
}
