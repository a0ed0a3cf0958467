import ArgumentParser
import Boot
import Host
import MiniVMM

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

        func run() throws {
            try Diagnostics.report {
                let guests = BuiltInGuest.all
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

        @Argument(help: "The guest's name.")
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
