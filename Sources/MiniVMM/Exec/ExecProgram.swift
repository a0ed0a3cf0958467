/// A program that is to run in a Linux guest of its own, and what it is given.
public struct ExecProgram: Sendable {
    /// The program: a path, or a name that is looked for in ``searchPath``.
    public var name: String
    /// Its arguments, the name that it is told is its own first. Byte for byte what the program gets.
    public var arguments: [[UInt8]]
    /// Its environment.
    public var environment = ExecEnvironment()
    /// The working directory: on the host for relative paths, and the program's in the guest.
    public var directory = "/"
    /// Where the host's programs are looked for, as PATH has it.
    public var searchPath = SearchPath.standard.text
    /// What is put into the guest besides. The first to be put at a place has it.
    public var additions: [ExecAddition] = []
    /// Whether standard error goes where standard output goes, so that the two keep their order.
    public var mergesOutput = false

    /// A program.
    ///
    /// - Parameters:
    ///   - name: The program: a path, or a name that is looked for.
    ///   - arguments: Its arguments, without its name.
    public init(name: String, arguments: [[UInt8]] = []) {
        self.name = name
        self.arguments = [Array(name.utf8)] + arguments
    }
}
