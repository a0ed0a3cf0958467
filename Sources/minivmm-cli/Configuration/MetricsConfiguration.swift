import ArgumentParser
import Counters
import Host
import MiniVMM
import Report

/// Where metrics go.
enum MetricsTarget: Hashable, Sendable {
    /// A file, which node_exporter's textfile collector reads.
    case file(String)
    /// A socket of this host, where they are asked for by HTTP.
    case socket(LocalAddress)

    /// The end of a file's name by which the textfile collector knows it.
    private static let fileEnd = ".prom"
    private static let loopback = "127.0.0.1:"

    /// Reads a path that ends in `.prom`, `127.0.0.1:` and a port, or `unix:` and a path.
    init?(_ text: String) {
        if text.hasPrefix("unix:") {
            guard let address = LocalAddress(text) else { return nil }
            self = .socket(address)
        } else if text.hasPrefix(Self.loopback), let address = LocalAddress(String(text.dropFirst(Self.loopback.count)))
        {
            self = .socket(address)
        } else {
            guard text.hasSuffix(Self.fileEnd) else { return nil }
            self = .file(text)
        }
    }
}

/// What monitoring systems are given of a run.
struct MetricsConfiguration: Hashable, Sendable {
    /// Where it goes, if anywhere.
    var target: MetricsTarget?
    /// The time between two states of a file, in seconds; nil for ``defaultInterval``.
    var interval: Double?
    /// What every number is labelled with.
    var labels: [MetricsLabel] = []

    /// The time between two states of a file unless told otherwise, in seconds.
    private static let defaultInterval = 5.0

    /// The file that is written, if one is.
    var path: String? { if case .file(let path) = target { path } else { nil } }

    /// Checks that the options go together.
    func validate() throws {
        if interval != nil, path == nil { throw ValidationError("--metrics-interval needs --metrics with a file.") }
        try LiveConfiguration.validate(interval: interval, of: "--metrics-interval")
        if !labels.isEmpty, target == nil { throw ValidationError("--metrics-label needs --metrics.") }
        guard !labels.map(\.name).hasRepetition else {
            throw ValidationError("--metrics-label takes each name once.")
        }
    }

    /// Opens the file or begins to listen, before the process is confined.
    ///
    /// - Throws: `OutputError`, ``MetricsError``, ``OptionListenError``.
    func open() throws -> MetricsOutlet? {
        switch target {
        case nil: nil
        case .file(let path):
            .file(try MetricsFile(path), interval: .seconds(interval ?? Self.defaultInterval))
        case .socket(let address): .socket(try LocalListener.open(at: address, for: "--metrics"))
        }
    }
}

/// Where metrics go, open.
enum MetricsOutlet {
    case file(MetricsFile, interval: Duration)
    case socket(LocalListener)

    /// The directories in which files are put at their places, or removed after the run.
    var folders: [Int32] {
        switch self {
        case .file(let file, interval: _): [file.directory]
        case .socket(let listener): listener.directory.elements
        }
    }
}
