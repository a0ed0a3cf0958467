import ArgumentParser
import CKVM
import MiniVMM

/// The command `minivmm`.
struct MiniVMMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "minivmm",
        abstract: "A small hypervisor that counts and times every VM exit.",
        version: "0.1.0",
        subcommands: [
            RunCommand.self, ExecCommand.self, BenchCommand.self, CompareCommand.self, GuestsCommand.self,
            DoctorCommand.self, WatchCommand.self,
        ]
    )
}

/// Where the program starts: plain command lines take the short way, all others that of ArgumentParser.
@main
enum EntryPoint {
    static func main() {
        // One heap for all threads: they allocate little, and each heap more takes pages and system calls to make.
        ckvm_use_one_heap()
        guard let configuration = PlainArguments.parse(Array(CommandLine.arguments.dropFirst())) else {
            return MiniVMMCommand.main()
        }
        do {
            try configuration.run()
        } catch {
            MiniVMMCommand.exit(withError: error)
        }
    }
}
