extension ExitStatus {
    /// The program to run is there, and cannot be executed; as shells report it.
    public static let programNotExecutable = ExitStatus(rawValue: 126)
    /// There is no such program to run; as shells report it.
    public static let programNotFound = ExitStatus(rawValue: 127)
}
