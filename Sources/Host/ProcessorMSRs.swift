import CKVM
import Glibc

/// The model-specific registers of a processor, which Linux shows in a file.
///
/// Source: msr(4).
package struct ProcessorMSRs: ~Copyable {
    private let file: OwnedDescriptor

    /// The file of the first processor.
    package static let path = "/dev/cpu/0/msr"

    /// Opens a processor's registers.
    ///
    /// - Parameter path: Their file.
    /// - Throws: ``ProcessorMSRError``.
    package init(path: String = Self.path) throws(ProcessorMSRError) {
        let result = unsafe ckvm_open(path, O_RDONLY)
        guard result >= 0 else {
            let error = ErrorNumber(rawValue: 0 &- result)
            switch error {
            case .noSuchFile: throw .noFile(path: path)
            case .notPermitted, .accessDenied: throw .notPermitted(path: path, error)
            default: throw .unusable(path: path, error)
            }
        }
        file = OwnedDescriptor(takingOver: result)
    }

    /// The value of a register.
    ///
    /// - Returns: nil when the processor has none of that number.
    package func read(_ index: UInt32) -> UInt64? {
        var value: UInt64 = 0
        // Sound: as many bytes are read as the variable has. The place in the file is the register's number.
        let count = unsafe pread(file.number, &value, MemoryLayout<UInt64>.size, off_t(index))
        return count == MemoryLayout<UInt64>.size ? value : nil
    }
}

/// Why a processor's registers cannot be read.
public enum ProcessorMSRError: Error, Hashable, Sendable {
    /// There is no such file.
    case noFile(path: String)
    /// This process may not open it.
    case notPermitted(path: String, ErrorNumber)
    /// It cannot be opened for another reason.
    case unusable(path: String, ErrorNumber)
}

extension ProcessorMSRError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .noFile(let path): "\(path) does not exist (ENOENT)."
        case .notPermitted(let path, let error): "\(path) may not be opened by this process (\(error.name))."
        case .unusable(let path, let error): "\(path) cannot be opened (\(error.name): \(error.description))."
        }
    }
}
