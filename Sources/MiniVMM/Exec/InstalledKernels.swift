import Glibc

/// The kernels that the host has installed.
public enum InstalledKernels {
    /// Where distributions put them.
    public static let directory = "/boot"
    private static let prefix = "vmlinuz-"

    /// The newest kernel that can be read: the one with the greatest version in its name.
    ///
    /// - Parameter directory: Where to look.
    /// - Throws: ``ExecError/noKernel(directory:)``, ``ExecError/unreadableKernel(path:_:)``.
    public static func newest(in directory: String = directory) throws(ExecError) -> String {
        let names = (try? HostFiles().names(in: directory)) ?? []
        let kernels = names.filter { $0.hasPrefix(prefix) }.sorted { Self.isOlder($0, $1) }.map { "\(directory)/\($0)" }
        guard let newest = kernels.last else { throw .noKernel(directory: directory) }
        var failure: ErrorNumber?
        for kernel in kernels.reversed() {
            if access(kernel, R_OK) == 0 { return kernel }
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
