/// Why ACPI tables cannot be built.
public enum ACPIError: Error, Hashable, Sendable {
    /// There must be 1 to ``ACPITables/greatestVCPUCount`` vCPUs.
    case vcpuCount(Int)
    /// The tables would not end below 4 GiB, where all of their addresses fit.
    case outOfReach(GuestPhysicalAddress)
    /// A name that AML has no form for.
    case invalidName(String)
    /// More bytes than AML has a length for.
    case tooLong(byteCount: Int)
}

extension ACPIError: DiagnosticError {
    /// One sentence that says what happened.
    public var explanation: String {
        switch self {
        case .vcpuCount(let count):
            "A machine with \(count) vCPUs cannot be described to a guest by ACPI."
        case .outOfReach(let address):
            "ACPI tables at \(address) would not end below 4 GiB."
        case .invalidName(let name):
            "\"\(name)\" is not a name of the ACPI machine language."
        case .tooLong(let byteCount):
            "\(byteCount) bytes are too long for one object of the ACPI machine language."
        }
    }

    /// One sentence that says what to do about it.
    public var remedy: String {
        switch self {
        case .vcpuCount: "Choose 1 to \(ACPITables.greatestVCPUCount) vCPUs."
        case .outOfReach, .invalidName, .tooLong: "Please report this as a fault of MiniVMM."
        }
    }

    /// The exit status of a command that fails with this error.
    public var exitStatus: ExitStatus {
        switch self {
        case .vcpuCount: .usage
        case .outOfReach, .invalidName, .tooLong: .internalFault
        }
    }
}
