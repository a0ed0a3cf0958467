import ArgumentParser
import Boot
import Host
import MiniVMM
import Report

/// `minivmm guests`: the guests that come with MiniVMM.
struct GuestsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guests",
        abstract: "List the built-in guests, or take one out.",
        subcommands: [ListCommand.self, DumpCommand.self],
        defaultSubcommand: ListCommand.self
    )

    /// `minivmm guests list`.
    struct ListCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the built-in guests.")

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            try Diagnostics.report {
                let guests = BuiltInGuest.all
                if json {
                    try OutputFile.standardOutput.write(JSONText.encode(GuestsRecord(guests)))
                    return .success
                }
                let width = guests.map(\.name.count).max() ?? 0
                let lines = guests.map { guest in
                    guest.name + String(repeating: " ", count: width - guest.name.count + 2) + guest.summary + "\n"
                }
                try OutputFile.standardOutput.write(Array(lines.joined().utf8))
                return .success
            }
        }
    }

    /// `minivmm guests dump`.
    struct DumpCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "dump",
            abstract: "Write the image of a built-in guest to a file or to standard output.")

        @Argument(help: "The guest's name.", completion: .list(BuiltInGuest.all.map(\.name)))
        var name: String

        @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
        var output: String?

        func run() throws {
            guard let guest = BuiltInGuest(named: name) else { throw UnknownGuest.error(name) }
            try Diagnostics.report {
                guard let output else {
                    guard !OutputFile.standardOutput.isTerminal else { throw OutputError.terminal }
                    try OutputFile.standardOutput.write(guest.image)
                    return .success
                }
                let file = try OutputFile(creating: output)
                try file.write(guest.image)
                try file.finish()
                return .success
            }
        }
    }
}

/// The built-in guests, as the JSON object that `minivmm guests --json` prints. `Schemas/guests.schema.json` describes it.
private struct GuestsRecord: Encodable {
    private struct OneGuest: Encodable {
        let name: String
        let summary: String
        let bytes: Int
    }

    private let schema = 1
    private let guests: [OneGuest]

    init(_ guests: [BuiltInGuest]) {
        self.guests = guests.map { OneGuest(name: $0.name, summary: $0.summary, bytes: $0.image.count) }
    }
}
