import Host

/// A file that holds the metrics of a run: replaced as a whole again and again, so that readers never see a part.
final class MetricsFile: Sendable {
    private struct State {
        var file: OutputFile
        var isPublished = false
        var error: (any Error)?
    }

    private let state: Locked<State>
    /// The directory that it stands in.
    let directory: Int32

    /// Begins it beside its place.
    ///
    /// - Throws: `OutputError` when it cannot be written; ``MetricsError/notReplaceable(_:)`` when what is there can only be
    ///   written in place.
    init(_ path: String) throws {
        let file = try OutputFile(creating: path)
        guard let directory = file.directory else { throw MetricsError.notReplaceable(path) }
        self.directory = directory
        state = Locked(State(file: file))
    }

    /// Puts a new state at its place. After a failure there is no other.
    func write(_ text: String) {
        state.withLock { state in
            guard state.error == nil else { return }
            do {
                if state.isPublished { state.file = try state.file.successor() }
                try state.file.write(Array(text.utf8))
                try state.file.finish()
                state.isPublished = true
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

/// Why metrics cannot be given.
enum MetricsError: Error, Hashable {
    /// There is something that can only be written in place: a device, a file with several names, or one in a directory
    /// that takes no new files.
    case notReplaceable(String)
}

extension MetricsError: CommandError {
    var explanation: String {
        switch self {
        case .notReplaceable(let path): "\(path) cannot be replaced as a whole, as whoever reads metrics needs it."
        }
    }

    var remedy: String { "Name a file with --metrics in a directory of your own." }
    var exitStatus: ExitStatus { .outputNotWritable }
}
