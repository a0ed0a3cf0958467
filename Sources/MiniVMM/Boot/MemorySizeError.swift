/// What can be wrong with the size that was asked for a guest's memory. All sizes are bytes.
public enum MemorySizeError: Error, Hashable, Sendable {
    /// The guest would have no room for what it is made of.
    case tooSmall(UInt64, least: UInt64)
    /// The guest's last address would be beyond what processors handle.
    case tooLarge(UInt64, greatest: UInt64)
    /// The size is not a multiple of a page.
    case notWholePages(UInt64)
}

extension MemorySizeError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .tooSmall(let size, let least):
            "\(ByteCount(size)) of guest memory are too few: this guest needs at least \(ByteCount(least))."
        case .tooLarge(let size, let greatest):
            "\(ByteCount(size)) of guest memory are too many: the most that a guest can have is \(ByteCount(greatest))."
        case .notWholePages(let size):
            "\(ByteCount(size)) of guest memory are not a whole number of pages of \(GuestMemory.pageSize) bytes."
        }
    }

    public var remedy: String {
        switch self {
        case .tooSmall: "Give the guest more with --memory; a number without a unit counts bytes, so say 128M for MiB."
        case .tooLarge: "Give the guest less with --memory."
        case .notWholePages: "Round the size that --memory gives to KiB that 4 divides."
        }
    }

    public var exitStatus: ExitStatus { .usage }
}
