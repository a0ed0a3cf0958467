import Glibc
import Host

/// A list of directories in which programs are looked for, as PATH has it.
struct SearchPath: Hashable, Sendable {
    /// The list, with colons.
    package let text: String

    /// What a shell uses when nothing else is set.
    package static let standard = SearchPath(text: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")

    /// Finds a program, as execvp(3) does: a name with a slash in it is a path.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - directory: The directory that relative paths start from.
    ///   - host: Where to look.
    /// - Returns: An absolute path, which may lead over links.
    /// - Throws: ``ExecError/programNotFound(name:searched:)``, ``ExecError/notExecutable(path:reason:)``.
    package func find(_ name: String, from directory: String, in host: HostFiles) throws(ExecError) -> String {
        if name.utf8.contains(UInt8(ascii: "/")) {
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
    package static func absolute(_ path: String, from directory: String) -> String {
        PathWalk.isAbsolute(path) ? path : directory + "/" + path
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

/// The kernels that the host has installed.
public enum InstalledKernels {
    /// Where distributions put them.
    public static let directory = "/boot"
    private static let prefix = "vmlinuz-"

    /// The newest kernel that can be read: the one with the maximum version in its name.
    ///
    /// - Parameter directory: Where to look.
    /// - Throws: ``ExecError/noKernel(directory:)``, ``ExecError/unreadableKernel(path:_:)``.
    public static func newest(in directory: String = directory) throws(ExecError) -> String {
        let names = (try? HostFiles().names(in: directory)) ?? []
        let kernels = names.filter { $0.hasPrefix(prefix) }.sorted { Self.isOlder($0, $1) }.map { "\(directory)/\($0)" }
        guard let newest = kernels.last else { throw .noKernel(directory: directory) }
        var failure: ErrorNumber?
        for kernel in kernels.reversed() {
            if unsafe access(ForeignText.cString(kernel), R_OK) == 0 { return kernel }
            failure = failure ?? ErrorNumber(rawValue: errno)
        }
        throw .unreadableKernel(path: newest, failure ?? .accessDenied)
    }

    /// Whether one name's version is less than the other's: numbers count as numbers, all else as text.
    static func isOlder(_ left: String, _ right: String) -> Bool {
        let (left, right) = (parts(left), parts(right))
        for (one, other) in zip(left, right) where one != other {
            switch (one, other) {
            case (.number(let one), .number(let other)): return one < other
            case (.text(let one), .text(let other)): return one < other
            // A number goes on where text ends the version, as in 6.1.10 and 6.1-rc1.
            case (.text, .number): return true
            case (.number, .text): return false
            }
        }
        return left.count < right.count
    }

    private enum Part: Hashable {
        case number(UInt64)
        case text(String)
    }

    private static func parts(_ name: String) -> [Part] {
        var parts: [Part] = []
        var rest = name[...]
        while let first = rest.first {
            let isDigit = isDigit(first)
            let piece = rest.prefix { Self.isDigit($0) == isDigit }
            // A number of more than 19 digits is no version.
            parts.append(isDigit ? .number(UInt64(piece) ?? .max) : .text(String(piece)))
            rest = rest.dropFirst(piece.count)
        }
        return parts
    }

    private static func isDigit(_ character: Character) -> Bool {
        character.isASCII && character.isNumber
    }
}
