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
        case .notDescribed: "Leave out --disk, --rng and --console virtio: they are for Linux guests."
        case .tooMany: "Leave out some of --disk."
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
