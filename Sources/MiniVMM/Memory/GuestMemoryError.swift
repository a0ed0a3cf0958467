/// What can go wrong with guest memory.
public enum GuestMemoryError: Error, Hashable, Sendable {
    /// The access touches an address that has no memory behind it, or crosses the end of a region.
    case outOfBounds(address: GuestPhysicalAddress, byteCount: UInt64)
    /// The system does not give the memory.
    case refused(byteCount: UInt64, ErrorNumber)
    /// The regions are empty, not made of whole pages, overlap, or pass the end of the address space.
    case invalidLayout
}

extension GuestMemoryError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .outOfBounds(let address, let byteCount):
            "There is no guest memory for \(byteCount) bytes at \(address)."
        case .refused(let byteCount, let error):
            "The system refused \(byteCount >> 20) MiB of guest memory (\(error.name))."
        case .invalidLayout:
            "The regions of guest memory are empty, overlap or are not made of whole pages."
        }
    }

    public var remedy: String {
        switch self {
        case .outOfBounds: "Give the guest more memory with --memory, or choose an address inside it."
        case .refused: "Give the guest less memory with --memory, or raise the limit that `ulimit -v` shows."
        case .invalidLayout: "Choose whole pages of 4096 bytes that do not overlap."
        }
    }

    public var exitStatus: ExitStatus {
        switch self {
        case .outOfBounds: .imageNotAcceptable
        case .refused: .systemRefused
        case .invalidLayout: .internalFault
        }
    }
}
