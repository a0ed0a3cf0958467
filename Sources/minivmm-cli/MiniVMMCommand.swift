import ArgumentParser
import MiniVMM

/// The command `minivmm`.
struct MiniVMMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "minivmm",
        abstract: "A small hypervisor that counts and times every VM exit.",
        version: "0.1.0",
        subcommands: [
            RunCommand.self, ExecCommand.self, BenchCommand.self, CompareCommand.self, GuestsCommand.self,
            DoctorCommand.self,
        ]
    )
}
