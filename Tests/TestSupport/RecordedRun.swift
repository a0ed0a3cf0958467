import XCTest

/// A run of `minivmm run` whose statistics were written as JSON.
struct RecordedRun {
    let run: CommandLineRun
    let record: JSONValue

    /// Runs a guest.
    ///
    /// - Parameter arguments: Those of `minivmm run`, but for --stats and --stats-file.
    init(_ arguments: [String], output: OutputSink = .captured) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = ["--stats", "json", "--stats-file", folder.path("stats.json")]
        run = try CommandLineRun(["run"] + arguments + file, output: output)
        record = try JSONValue(folder.bytes("stats.json"))
    }

    /// The number of exits of each kind.
    var exits: [String: Int64] {
        var exits: [String: Int64] = [:]
        for kind in record["kinds"]?.elements ?? [] {
            if let name = kind["kind"]?.string { exits[name] = kind["exits"]?.integer }
        }
        return exits
    }

    /// The number of exits of all kinds.
    var totalExits: Int64? { record["total"]?["exits"]?.integer }

    /// How the run ended.
    var ending: String? { record["outcome"]?["kind"]?.string }
}
