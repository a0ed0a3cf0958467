/// Why something cannot be put into an initramfs.
public enum InitramfsError: Error, Hashable, Sendable {
    /// The path is empty, too long, or has `.`, `..` or a zero byte in it.
    case invalidPath(String)
    /// There is something else at the path, or at a path above it, already.
    case occupied(String)
    /// The file is larger than the format can state. Bytes.
    case oversized(path: String, size: Int)
}

extension InitramfsError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .invalidPath(let path): "\"\(path)\" cannot be a path in the guest's file system."
        case .occupied(let path): "The guest's file system already has something else at \(path)."
        case .oversized(let path, let size): "\(path) is too large for the guest's file system: \(size) bytes."
        }
    }

    public var remedy: String {
        switch self {
        case .invalidPath: "Give an absolute path without `.` and `..` in it."
        case .occupied: "Give each file a path of its own with --add SOURCE:DESTINATION."
        case .oversized: "Leave the file out; a file can have 4 GiB less one byte."
        }
    }

    public var exitStatus: ExitStatus { .usage }
}
