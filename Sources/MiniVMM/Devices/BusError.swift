/// What can be wrong with the layout of a machine's devices.
public enum BusError: Error, Hashable, Sendable {
    /// Two devices, by name, want the same port or address.
    case overlap(String, String)
    /// More than 255 devices on one bus.
    case tooManyDevices
}

extension BusError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .overlap(let one, let other): "The devices \(one) and \(other) claim the same addresses."
        case .tooManyDevices: "More than 255 devices are attached to one bus."
        }
    }

    public var remedy: String { "Change the machine's device layout." }

    public var exitStatus: ExitStatus { .internalFault }
}
