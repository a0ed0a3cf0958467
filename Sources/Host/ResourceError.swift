/// The system refuses a descriptor, a thread or memory.
public struct ResourceError: Error, Hashable, Sendable {
    /// What was asked for, such as `an eventfd`.
    public let name: String
    /// Why it was refused.
    public let errorNumber: ErrorNumber

    /// The refusal of something.
    ///
    /// - Parameters:
    ///   - name: What was asked for, such as `an eventfd`.
    ///   - errorNumber: Why it was refused.
    public init(_ name: String, _ errorNumber: ErrorNumber) {
        self.name = name
        self.errorNumber = errorNumber
    }
}

extension ResourceError: DiagnosticError {
    public var explanation: String {
        "The system refused what \(name) needs (\(errorNumber.name): \(errorNumber.description))."
    }
}
