import Host
import MiniVMM
import Report

/// The lines of JSON that say, while a run goes on, what came in each interval.
final class IntervalLines: Sendable {
    private struct State {
        var last: LiveSample?
        var error: (any Error)?
    }

    private let file: OutputFile
    private let state = Locked(State())

    init(_ file: OutputFile) {
        self.file = file
    }

    /// Writes what came since the last line. After a failure there is no other line.
    func write(_ sample: LiveSample) {
        state.withLock { state in
            guard state.error == nil else { return }
            do {
                try file.write(RunIntervalRecord(from: state.last, to: sample).line())
                state.last = sample
            } catch {
                state.error = error
            }
        }
    }

    /// Says what failed, if anything did.
    func finish() throws {
        if let error = state.withLock({ $0.error }) { throw error }
    }
}
