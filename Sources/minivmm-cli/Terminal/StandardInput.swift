import Counters
import Devices
import Glibc
import MiniVMM
import Report

/// Standard input as the input of a guest's console.
enum StandardInput {
    /// How a machine is fed: a guest with an operating system takes a terminal over, with escape keys; a flat guest
    /// gets the lines that are typed, and Ctrl-C still ends the run.
    static func source(for machine: Machine) -> ConsoleSource {
        guard !machine.isFlat, let terminal = Terminal(descriptor: STDIN_FILENO) else { return .stream(STDIN_FILENO) }
        return .terminal(terminal) { action in
            switch action {
            case .quit: machine.control.stop(.stopped)
            case .showCounters:
                StandardError.write("\n" + LiveReport(machine.countersSoFar, tscKHz: machine.tscKHz).text)
            case .help: StandardError.write("\n" + EscapeKeys.help + "\n")
            }
        }
    }
}
