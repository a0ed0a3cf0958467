import Boot
import Host

/// What is taken from the host for one guest: each file is opened once, and the whole has bounds.
///
/// The files that a program names are input like any other: whoever made the program chose them. So what one of them
/// leads to is a regular file of a file system, and how much may be looked up and taken is limited, far above what
/// programs need.
final class HostSources {
    let host: HostFiles
    private let limits: ExecLimits
    private var known: [FileIdentity: HostFile] = [:]
    private var absentDirectories: Set<String> = []
    private var lookups = 0
    private var fileCount = 0
    private var byteCount: UInt64 = 0
    /// What is only guessed at and could not be had.
    private(set) var notes: [ExecNote] = []

    init(host: HostFiles, limits: ExecLimits = ExecLimits()) {
        self.host = host
        self.limits = limits
    }

    /// Takes a file that a program, script or library names.
    ///
    /// - Returns: Nil when there is no regular file, or one that the kernel makes up, such as those in /proc.
    /// - Throws: ``ExecError/file(_:)``, ``ExecError/tooMuch(_:neededBy:)``.
    func find(_ path: String, neededBy needer: String) throws(ExecError) -> HostFile? {
        try countLookup(neededBy: needer)
        guard let resolved = try? host.resolve(path) else { return nil }
        let file: OpenHostFile
        do {
            file = try host.open(resolved)
        } catch .accessDenied, .notPermitted {
            throw .unreadable(path: path, .accessDenied)
        } catch {
            return nil
        }
        return file.isSynthetic ? nil : try take(file, as: path)
    }

    /// Takes a file that a person names: one in /proc will do as well.
    ///
    /// - Parameter resolved: The path without links.
    /// - Throws: ``ExecError/file(_:)``, ``ExecError/unreadable(path:_:)``, ``ExecError/tooMuch(_:neededBy:)``.
    func named(_ path: String, resolved: String) throws(ExecError) -> HostFile {
        let file: OpenHostFile
        do {
            file = try host.open(resolved)
        } catch {
            throw .file(.unreadable(path: path, error))
        }
        return try take(file, as: path)
    }

    private func take(_ file: consuming OpenHostFile, as path: String) throws(ExecError) -> HostFile {
        let (identity, mode) = (file.identity, file.mode)
        if let known = known[identity] {
            return HostFile(path: path, bytes: known.bytes, mode: mode, identity: identity)
        }
        fileCount += 1
        guard fileCount <= limits.fileCount else { throw .tooMuch(.files(limits.fileCount), neededBy: path) }
        guard file.size <= limits.byteCount, byteCount + file.size <= limits.byteCount
        else { throw .tooMuch(.bytes(limits.byteCount), neededBy: path) }
        let bytes: [UInt8]
        do {
            bytes = try file.bytes()
        } catch {
            throw .file(error)
        }
        byteCount += UInt64(bytes.count)
        let taken = HostFile(path: path, bytes: bytes, mode: mode, identity: identity)
        known[identity] = taken
        return taken
    }

    /// Whether a directory is there. What is not once is not asked for again.
    func hasDirectory(_ path: String, neededBy needer: String) throws(ExecError) -> Bool {
        guard !absentDirectories.contains(path) else { return false }
        try countLookup(neededBy: needer)
        if (try? host.resolvedStatus(path))?.status.kind == .directory { return true }
        absentDirectories.insert(path)
        return false
    }

    private func countLookup(neededBy needer: String) throws(ExecError) {
        lookups += 1
        guard lookups <= limits.lookupCount else { throw .tooMuch(.lookups(limits.lookupCount), neededBy: needer) }
    }

    /// Checks how long a chain of libraries is that need each other.
    func checkDepth(_ depth: Int, neededBy needer: String) throws(ExecError) {
        guard depth <= limits.depth else { throw .tooMuch(.depth(limits.depth), neededBy: needer) }
    }

    /// Notes what was guessed at and could not be had.
    func note(_ note: ExecNote) {
        if notes.count < limits.noteCount, !notes.contains(note) { notes.append(note) }
    }
}

/// How much is taken from the host for one guest, at most.
struct ExecLimits: Hashable, Sendable {
    /// The bytes of all files: what a guest's file system in memory can be asked to hold.
    var byteCount: UInt64 = 8 << 30
    /// Files, those of directories that are added included.
    var fileCount = 0x8_0000
    /// How often libraries and interpreters are looked for. Large programs need some thousands.
    var lookupCount = 0x8000
    /// How long a chain of libraries can be that need each other.
    var depth = 256
    /// How many notes are kept.
    var noteCount = 16
}

/// What is guessed at of what a script may need.
public enum ExecNote: Hashable, Sendable {
    /// The script seems to have a program started that is not there, or is none.
    case programNotThere(name: String, script: String)
}

extension ExecNote {
    /// What there is to say, in a sentence.
    public var explanation: String {
        switch self {
        case .programNotThere(let name, let script):
            "\(script) seems to start \(name), which could not be put into the guest."
        }
    }
}

/// What there can be too much of, and how much is accepted.
public enum ExecLimit: Hashable, Sendable {
    case bytes(UInt64)
    case files(Int)
    case lookups(Int)
    case depth(Int)
    case libraries(Int)
}

extension ExecLimit: CustomStringConvertible {
    /// The limit in words, as what something leads to.
    public var description: String {
        switch self {
        case .bytes(let limit): "more than \(ByteCount(limit)) of files"
        case .files(let limit): "more than \(limit) files"
        case .lookups(let limit): "more than \(limit) lookups of files"
        case .depth(let limit): "a chain of more than \(limit) libraries that need each other"
        case .libraries(let limit): "more than \(limit) names of libraries"
        }
    }
}
