import Host
import Memory

extension GuestMemoryError: CommandError {
    var remedy: String {
        switch self {
        case .outOfBounds: "Give the guest more memory with --memory, or choose an address inside it."
        case .refused: "Give the guest less memory with --memory, or raise the limit that `ulimit -v` shows."
        case .invalidLayout: "Choose whole pages of 4096 bytes that do not overlap."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .outOfBounds: .imageNotAcceptable
        case .refused: .systemRefused
        case .invalidLayout: .internalFault
        }
    }
}

extension CPUPinningError: CommandError {
    var remedy: String {
        switch self {
        case .notUsable(_, let usable): "Choose from \(usable) with --pin."
        case .refused: "Run without --pin."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .notUsable: .usage
        case .refused: .systemRefused
        }
    }
}

extension ResourceError: CommandError {
    /// What to do whatever it is that was refused.
    static let remedyForAll =
        "Ask for less memory, fewer vCPUs or fewer trace events, or raise the limits that `ulimit -a` shows."

    var remedy: String { Self.remedyForAll }

    var exitStatus: ExitStatus { .systemRefused }
}
