import Devices
import Host

extension BusError: CommandError {
    var remedy: String { "Change the machine's device layout." }

    var exitStatus: ExitStatus { .internalFault }
}

extension ACPIError: CommandError {
    /// One sentence that says what to do about it.
    var remedy: String {
        switch self {
        case .vcpuCount: "Choose 1 to \(ACPITables.maximumVCPUCount) vCPUs."
        case .outOfReach, .invalidName, .tooLong: "Please report this as a fault of MiniVMM."
        }
    }

    /// The exit status of a command that fails with this error.
    var exitStatus: ExitStatus {
        switch self {
        case .vcpuCount: .usage
        case .outOfReach, .invalidName, .tooLong: .internalFault
        }
    }
}

extension ConsoleError: CommandError {
    var remedy: String {
        "Check where standard output goes: whether its reader still runs, or what space is left."
    }

    var exitStatus: ExitStatus { .outputNotWritable }
}

extension VirtioError: CommandError {
    var remedy: String {
        switch self {
        case .notDescribed: "Leave out --disk, --net, --share, --rng and --console virtio: they are for Linux guests."
        case .tooMany: "Leave out some of --disk, --net and --share."
        }
    }

    var exitStatus: ExitStatus { .usage }
}

extension DiskError: CommandError {
    var remedy: String {
        switch self {
        case .notUsable: "Check the path and its permissions; --disk FILE,ro is enough to read."
        case .notADisk, .empty: "Give --disk an image file, made by truncate and mkfs for instance, or a block device."
        case .inUse: "End the other process, or give both --disk FILE,ro."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .notUsable, .inUse: .imageNotReadable
        case .notADisk, .empty: .imageNotAcceptable
        }
    }
}

extension NetworkError: CommandError {
    var remedy: String {
        switch self {
        case .noTunnels: "Load the module tun, and see to the permissions of /dev/net/tun; or use --net user."
        case .noInterface(let name), .refused(let name, _):
            "Make one for yourself: sudo ip tuntap add \(name) mode tap user $USER; or use --net user."
        case .notConnected: "Check the path, and whether passt still listens there: it serves one guest at a time."
        }
    }

    var exitStatus: ExitStatus { .imageNotReadable }
}

extension PasstError: CommandError {
    var remedy: String {
        switch self {
        case .notFound: "Install it, by apt-get install passt for instance, or use --net tap=NAME."
        case .ended, .silent: "See what it says by itself: `\(Passt.commandLine)`."
        }
    }

    var exitStatus: ExitStatus { .imageNotReadable }
}

extension ShareError: CommandError {
    var remedy: String {
        switch self {
        case .notUsable(_, .notImplemented): "Use a newer kernel, or copy the files: exec has --add for that."
        case .notUsable: "Check the path and its permissions."
        case .notAFolder: "Give --share a folder; --disk takes an image, and exec --add a file."
        case .noDescriptors: "Mount /proc: mount -t proc proc /proc."
        case .tag: "Give --share HOST:TAG a short name, such as work."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .notUsable, .noDescriptors: .imageNotReadable
        case .notAFolder: .imageNotAcceptable
        case .tag: .usage
        }
    }
}
