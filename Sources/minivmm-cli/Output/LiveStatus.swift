import Devices
import Glibc
import Host
import MiniVMM
import Report

/// The line on standard error that says how a run goes, for as long as a person watches.
struct LiveStatus {
    /// The line; other messages wipe it before they are written.
    static let line = StatusLine { text in
        // There is nobody to tell when that fails.
        try? OutputFile.standardError.write(Array(text.utf8))
    }

    private let watch: LiveWatch?

    /// Whether there is a line at all: on a terminal that understands it, and that no guest has for itself.
    static func isWanted(by statistics: StatisticsConfiguration) -> Bool {
        // Sound: getenv returns null or a string that ends with a zero.
        let isDumb = unsafe getenv("TERM").map { unsafe strcmp($0, "dumb") == 0 } ?? true
        return statistics.form != .none && !isDumb && OutputFile.standardError.isTerminal
    }

    /// Lets the guest's output wipe the line where both are on terminals.
    static func apply(to options: inout MachineOptions) {
        if OutputFile.standardOutput.isTerminal { options.statusLine = line }
    }

    /// Starts to show the line, unless the guest takes the terminal over.
    init(_ machine: Machine) throws(ResourceError) {
        let isTakenOver = !machine.isFlat && Terminal(descriptor: STDIN_FILENO) != nil
        watch =
            isTakenOver
            ? nil
            : try LiveWatch(machine) { look in
                let line = LiveLine(
                    look.counters, previous: look.previous, elapsed: look.elapsed, interval: look.interval)
                Self.line.show(line.text)
            }
    }

    /// Wipes the line for good.
    func end() {
        watch?.end()
        Self.line.end()
    }
}
