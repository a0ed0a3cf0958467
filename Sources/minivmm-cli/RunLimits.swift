import ArgumentParser

/// How long a run may take.
struct RunLimits: ParsableArguments {
    @Option(
        help: ArgumentHelp("End the run after this many seconds; fractions are allowed.", valueName: "seconds"))
    var timeout: Double?

    /// Nothing given.
    static var defaults: RunLimits {
        var options = RunLimits()
        options.timeout = nil
        return options
    }

    /// The timeout as a time.
    var duration: Duration? { timeout.map { .seconds($0) } }

    func validate() throws {
        if let timeout, !(timeout > 0 && timeout < Self.longestTimeout) {
            throw ValidationError("--timeout takes a number of seconds above 0 and below \(Int(Self.longestTimeout)).")
        }
    }

    /// About thirty years, so that no clock overflows.
    private static let longestTimeout = 1e9
}
