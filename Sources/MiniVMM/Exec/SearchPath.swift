import Glibc

/// A list of directories in which programs are looked for, as PATH has it.
struct SearchPath: Hashable, Sendable {
    /// The list, with colons.
    let text: String

    /// What a shell uses when nothing else is set.
    static let standard = SearchPath(text: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")

    /// Finds a program, as execvp(3) does: a name with a slash in it is a path.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - directory: The directory that relative paths start from.
    ///   - host: Where to look.
    /// - Returns: An absolute path, which may lead over links.
    /// - Throws: ``ExecError/programNotFound(name:searched:)``, ``ExecError/notExecutable(path:reason:)``.
    func find(_ name: String, from directory: String, in host: HostFiles) throws(ExecError) -> String {
        if name.contains("/") {
            let path = Self.absolute(name, from: directory)
            if let problem = try Self.problem(path, host) { throw problem }
            return path
        }
        guard !name.isEmpty else { throw .programNotFound(name: "\"\"", searched: nil) }
        var first: ExecError?
        for entry in text.split(separator: ":", omittingEmptySubsequences: false) {
            // An empty entry is the current directory.
            let path = Self.absolute("\(entry.isEmpty ? "." : entry)/\(name)", from: directory)
            do {
                guard let problem = try Self.problem(path, host) else { return path }
                first = first ?? problem
            } catch .programNotFound {
                continue
            }
        }
        throw first ?? .programNotFound(name: name, searched: text.isEmpty ? nil : text)
    }

    /// A path, made absolute.
    static func absolute(_ path: String, from directory: String) -> String {
        path.hasPrefix("/") ? path : directory + "/" + path
    }

    /// Why a file cannot be executed, if it cannot.
    ///
    /// - Throws: ``ExecError/programNotFound(name:searched:)`` when there is no file.
    private static func problem(_ path: String, _ host: HostFiles) throws(ExecError) -> ExecError? {
        do {
            let status = try host.resolvedStatus(path).status
            switch status.kind {
            case .file where status.mode & 0o111 != 0: return nil
            case .file: return .notExecutable(path: path, reason: "has no permission to be executed")
            case .directory: return .notExecutable(path: path, reason: "is a directory")
            case .link: return .unreadable(path: path, .tooManyLinks)
            case .other(let kind): return .notExecutable(path: path, reason: "is \(kind)")
            }
        } catch .noSuchFile, .notADirectory {
            throw .programNotFound(name: path, searched: nil)
        } catch {
            return .unreadable(path: path, error)
        }
    }
}

extension ErrorNumber {
    static let notADirectory = ErrorNumber(rawValue: ENOTDIR)
}
