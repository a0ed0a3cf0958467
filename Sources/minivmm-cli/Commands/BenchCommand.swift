import ArgumentParser
import Bench
import Devices
import Host
import KVM
import MiniVMM

/// `minivmm bench`: what an exit costs on this host.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure what exits cost on this host.",
        discussion: """
            A guest reads its time-stamp counter before and after each operation. What this host cannot do is listed \
            with the reason. The exit status is 0 when anything could be measured, else 69.
            """
    )

    @Option(help: ArgumentHelp("Write the figures to a file, as one JSON object.", valueName: "file"))
    var json: String?

    @Option(help: "How often each operation is measured.")
    var repetitions = ExitBenchmark.defaultRepetitions

    @Option(help: ArgumentHelp("The KVM device.", valueName: "path"))
    var kvmDevice = KVM.defaultDevicePath

    func validate() throws {
        guard (1...ExitBenchmark.maximumRepetitions).contains(repetitions) else {
            throw ValidationError("--repetitions takes a number from 1 to \(ExitBenchmark.maximumRepetitions).")
        }
    }

    func run() throws {
        try Diagnostics.report {
            let file = try json.map { try OutputFile(creating: $0) }
            let isWatched = OutputFile.standardError.isTerminal
            let outcome = ExitBenchmark(kvm: try KVM(path: kvmDevice), repetitions: repetitions).run {
                if isWatched { LiveStatus.line.show("\($1)/\($2) \($0)") }
            }
            LiveStatus.line.end()
            let report = BenchmarkReport(outcome, style: OutputFile.standardOutput.textStyle)
            var attempts = OutputAttempts()
            attempts.attempt {
                try file?.write(BenchmarkRecord(outcome).json())
                try file?.finish()
            }
            attempts.attempt { try OutputFile.standardOutput.write(Array(report.text.utf8)) }
            try attempts.finish()
            return outcome.results.isEmpty ? .kvmUnavailable : .success
        }
    }
}
