import ArgumentParser
import Devices
import MiniVMM

/// The devices that a guest has besides those of a PC.
struct DeviceConfiguration: Hashable, Sendable {
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
    /// How notifications reach disks.
    var notifications = NotificationPath.kernel

    /// Checks what can be checked without the files.
    func validate() throws {
        if disks.contains(where: \.path.isEmpty) { throw ValidationError("--disk takes the path of a file.") }
    }

    /// Opens what is to be opened, and adds the devices to a machine's options.
    ///
    /// - Throws: `DiskError`.
    func apply(to options: inout MachineOptions) throws {
        options.notifications = notifications
        if hasEntropy { options.components.append(EntropySource()) }
        for disk in disks {
            options.components.append(VirtioDisk(try Disk(path: disk.path, isReadOnly: disk.isReadOnly)))
        }
    }
}
