import CKVM

/// An error number of the operating system, with its name.
public struct ErrorNumber: RawRepresentable, Hashable, Sendable {
    /// The number, as errno(3) has it.
    public let rawValue: Int32

    /// Wraps a number, as errno(3) has it.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The symbolic name, such as `ENOENT`; `errno 4242` for a number that has none.
    public var name: String {
        // Sound: the C library returns a string constant, or nil for a number that it does not know.
        guard let name = unsafe ckvm_errno_name(rawValue) else { return "errno \(rawValue)" }
        return unsafe String(cString: name)
    }

    /// What the number means, in the C library's words.
    public var description: String {
        // Sound: as above.
        guard let words = unsafe ckvm_errno_description(rawValue) else { return "unknown error" }
        return unsafe String(cString: words)
    }
}

extension ErrorNumber: CustomStringConvertible {}

extension ErrorNumber: Error {}

extension ErrorNumber {
    package static let notPermitted = ErrorNumber(rawValue: EPERM)
    package static let noSuchFile = ErrorNumber(rawValue: ENOENT)
    package static let interrupted = ErrorNumber(rawValue: EINTR)
    package static let tryAgain = ErrorNumber(rawValue: EAGAIN)
    @usableFromInline package static let outOfMemory = ErrorNumber(rawValue: ENOMEM)
    package static let accessDenied = ErrorNumber(rawValue: EACCES)
    package static let tooManyFilesInSystem = ErrorNumber(rawValue: ENFILE)
    package static let tooManyFiles = ErrorNumber(rawValue: EMFILE)
    package static let notImplemented = ErrorNumber(rawValue: ENOSYS)
    package static let addressInUse = ErrorNumber(rawValue: EADDRINUSE)
    static let argumentListTooLong = ErrorNumber(rawValue: E2BIG)
}
