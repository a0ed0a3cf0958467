import Counters
import Glibc
import Host
import MiniVMM
import Report

/// A file that a command reads.
enum InputFile {
    /// More than any report has: 16 MiB.
    private static let maximumSize = 1 << 24
    private static let chunkSize = 1 << 16

    /// All bytes of a file.
    ///
    /// - Throws: ``InputError``.
    static func read(_ path: String) throws(InputError) -> [UInt8] {
        let descriptor = unsafe open(ForeignText.cString(path), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .notReadable(path: path, ErrorNumber(rawValue: errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: chunkSize)
        while bytes.count <= maximumSize {
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count > 0 {
                bytes += chunk[..<count]
            } else if errno != EINTR {
                throw .notReadable(path: path, ErrorNumber(rawValue: errno))
            }
        }
        throw .tooLarge(path: path)
    }
}

/// Why a file could not be made use of.
enum InputError: Error {
    /// It cannot be opened or read.
    case notReadable(path: String, ErrorNumber)
    /// It is larger than any that could be meant.
    case tooLarge(path: String)
    /// Standard input ended before its end.
    case inputFailed(ErrorNumber)
    /// It is no record of a run.
    case notARecord(path: String, RecordError)
}

extension InputError: CommandError {
    var explanation: String {
        switch self {
        case .notReadable(let path, let error): "\(path) cannot be read (\(error.name): \(error.description))."
        case .inputFailed(let error): "Standard input cannot be read (\(error.name): \(error.description))."
        case .tooLarge(let path): "\(path) is too large for a report."
        case .notARecord(let path, .notARecord): "\(path) is no report of a run in JSON."
        case .notARecord(let path, .wrongSchema(let number)):
            "\(path) is a report of format \(number), and this is for format \(RunRecord.schemaVersion)."
        }
    }

    var remedy: String {
        switch self {
        case .notReadable: "Check the path and its permissions."
        case .inputFailed: "Check what standard input is redirected from."
        case .tooLarge, .notARecord: "Make one with `minivmm run --report FILE.json`."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .notReadable: .imageNotReadable
        case .inputFailed: .outputNotWritable
        case .tooLarge, .notARecord: .imageNotAcceptable
        }
    }
}

extension Machine {
    /// The command's status: that of the ending, unless it looks like success and the input was not all there was.
    ///
    /// - Throws: ``InputError/inputFailed(_:)``.
    func exitStatus(after ending: RunEnding) throws(InputError) -> ExitStatus {
        if ending.exitStatus == .success, let inputFailure { throw .inputFailed(inputFailure) }
        return ending.exitStatus
    }
}
