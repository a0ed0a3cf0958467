/// Where the output of a guest's program leads on the host. Its input is the machine's, ``Machine/run(timeout:input:)``.
public struct ExecStreams: Hashable, Sendable {
    /// The descriptor that standard output goes to.
    public var output: Int32
    /// The descriptor that standard error goes to.
    public var error: Int32

    /// Streams; by default those of this process.
    public init(output: Int32 = 1, error: Int32 = 2) {
        self.output = output
        self.error = error
    }
}
