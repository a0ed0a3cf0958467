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
