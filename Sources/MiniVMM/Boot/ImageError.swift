/// Why a file does not become a guest.
public enum ImageError: Error, Hashable, Sendable {
    /// The system does not let the file be read.
    case unreadable(path: String, ErrorNumber)
    /// What stands at the path is no file with an end: "a directory", "a character device".
    case notAFile(path: String, kind: String)
    /// The file has no bytes.
    case empty(path: String)
    /// The file is larger than what it is for; the size is nil when it was not read to its end. Bytes.
    case oversized(path: String, size: UInt64?, limit: UInt64)
    /// The file is of a format that MiniVMM recognizes and does not boot.
    case unsupported(path: String, ImageFormat)
    /// The file is of a format that MiniVMM boots, and wants something that MiniVMM does not do. The reason goes on a
    /// sentence that begins with "it".
    case notBootable(path: String, ImageFormat, reason: String)
    /// The file contradicts itself. The problem is a sentence without its full stop.
    case damaged(path: String, ImageFormat, problem: String)
    /// The guest's memory ends before what the file needs does: both addresses.
    case needsMoreMemory(path: String, upTo: GuestPhysicalAddress, end: GuestPhysicalAddress)
    /// The guest has no memory where the file wants to be.
    case noMemory(path: String, GuestMemoryError)
    /// The kernel does not take a command line that long. Bytes.
    case commandLineTooLong(size: Int, limit: UInt64)
    /// The command line holds a zero byte, which would end it.
    case commandLineHasZero

    /// What MiniVMM boots, in words.
    static let accepted = "a bzImage kernel, an ELF kernel for x86-64 with a PVH note, or a flat 16-bit image"

    /// Runs an access to guest memory for a file, and blames the file when there is no such memory.
    static func loading<Result>(
        _ path: String,
        _ body: () throws(GuestMemoryError) -> Result
    ) throws(ImageError) -> Result {
        do {
            return try body()
        } catch {
            throw .noMemory(path: path, error)
        }
    }
}

extension ImageError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .unreadable(let path, let error):
            return "\(path) cannot be read (\(error.name): \(error.description))."
        case .notAFile(let path, let kind):
            return "\(path) is \(kind), not a file."
        case .empty(let path):
            return "\(path) is empty."
        case .oversized(let path, let size, let limit):
            let words = size.map { "has \(ByteCount($0))" } ?? "goes on"
            return "\(path) \(words), and the most that fits is \(ByteCount(limit))."
        case .unsupported(let path, let format):
            return "\(path) is \(format), which MiniVMM does not boot."
        case .notBootable(let path, let format, let reason):
            return "\(path) is \(format), but it \(reason)."
        case .damaged(let path, let format, let problem):
            return "\(path) is \(format), but a damaged one: \(problem)."
        case .needsMoreMemory(let path, let address, let end):
            return "\(path) needs guest memory up to \(address), and the memory that it can use ends at \(end)."
        case .noMemory(let path, let error):
            return "\(path) does not fit into the guest: \(error.explanation)"
        case .commandLineTooLong(let size, let limit):
            return "The kernel's command line has \(size) bytes, and this kernel takes \(limit) at most."
        case .commandLineHasZero:
            return "The kernel's command line holds a zero byte, at which the kernel would stop reading."
        }
    }

    public var remedy: String {
        switch self {
        case .unreadable(_, .outOfMemory): "Give a smaller file, or raise the limit that `ulimit -v` shows."
        case .unreadable: "Check the path, and the permissions with `ls -l`."
        case .notAFile: "Give the path of \(Self.accepted)."
        case .empty: "Build or download the file again."
        case .oversized: "Give a smaller file; MiniVMM boots \(Self.accepted)."
        case .unsupported(_, let format): format.remedy
        case .notBootable(_, .bzImage, _): "Use a 64-bit kernel of Linux 3.8 or later, built as a bzImage."
        case .notBootable: "Give \(Self.accepted)."
        case .damaged: "Build or download the file again, and compare its checksum with the original's."
        case .needsMoreMemory, .noMemory: "Give the guest more memory with --memory."
        case .commandLineTooLong, .commandLineHasZero: "Shorten or correct what --append gives."
        }
    }

    public var exitStatus: ExitStatus {
        switch self {
        case .unreadable(_, .outOfMemory): .systemRefused
        case .unreadable, .notAFile: .imageNotReadable
        case .empty, .oversized, .unsupported, .notBootable, .damaged, .needsMoreMemory, .noMemory: .imageNotAcceptable
        case .commandLineTooLong, .commandLineHasZero: .usage
        }
    }
}
