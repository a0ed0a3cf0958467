import ArgumentParser
import CKVM
import Devices
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
            isReadOnly = text.hasSuffix(Self.readOnlySuffix)
            path = isReadOnly ? String(text.dropLast(Self.readOnlySuffix.count)) : text
        }

        private static let readOnlySuffix = ",ro"
    }

    /// The disks, in their order.
    var disks: [DiskFile] = []
    /// Whether there are random numbers.
    var hasEntropy = false
    /// What the console is.
    var console = Console.serial
    /// How notifications reach disks.
    var notifications = NotificationPath.kernel

    /// Checks what can be checked without the files.
    func validate() throws {
        if disks.contains(where: \.path.isEmpty) { throw ValidationError("--disk takes the path of a file.") }
    }

    /// The modules of Linux's kernel that the devices of a program's guest need.
    var drivers: [String] {
        let names = (disks.isEmpty ? [] : ["virtio_blk"]) + (hasEntropy ? ["virtio-rng"] : [])
        return names.isEmpty ? [] : ["virtio_mmio"] + names
    }

    /// Opens what is to be opened, and adds the devices to a machine's options.
    ///
    /// - Returns: The size of the console's terminal, where that is of interest.
    /// - Throws: `DiskError`.
    func apply(to options: inout MachineOptions) throws -> ConsoleSize? {
        options.notifications = notifications
        let size = console == .virtio ? ConsoleSize(of: STDOUT_FILENO) : nil
        if let size { options.components.append(VirtioConsolePort(size: size)) }
        if hasEntropy { options.components.append(EntropySource()) }
        for disk in disks {
            options.components.append(VirtioDisk(try Disk(path: disk.path, isReadOnly: disk.isReadOnly)))
        }
        return size
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
