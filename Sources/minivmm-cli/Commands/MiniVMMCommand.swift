import ArgumentParser
import CKVM
import Glibc
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
        _ = ProcessWatch.processStart
        guard MainStack.isSmall else { return work() }
        MainStack.withLargerOne(work)
    }

    private static func work() {
        let words = CommandWords.ofThisProcess.parsed
        Confinement.closeStrayDescriptors(namedIn: words)
        do {
            if let configuration = PlainArguments.parse(words) {
                try configuration.run()
            } else {
                var command = try MiniVMMCommand.parseAsRoot(words)
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    /// Ends the process as ArgumentParser does, but that what it repeats of the command line is shown as text.
    private static func end(with error: any Error) -> Never {
        let status = MiniVMMCommand.exitCode(for: error)
        let message = MiniVMMCommand.fullMessage(for: error)
        if !message.isEmpty {
            if status == .success {
                try? OutputFile.standardOutput.write(Array((message + "\n").utf8))
            } else {
                StandardError.write(message + "\n")
            }
        }
        exit(status.rawValue)
    }
}
