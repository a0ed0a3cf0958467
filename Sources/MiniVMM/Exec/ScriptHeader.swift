/// The first line of a script: `#!`, an interpreter, and perhaps one argument.
///
/// Source: Linux, fs/binfmt_script.c.
struct ScriptHeader: Hashable, Sendable {
    /// The interpreter's path.
    let interpreter: String
    /// What is behind it, if anything.
    let argument: String

    /// How much of the file the kernel looks at. Source: Linux, BINPRM_BUF_SIZE.
    private static let greatestSize = 256

    /// Reads the line.
    ///
    /// - Returns: Nil when the file does not begin like a script, or names no interpreter.
    init?(_ bytes: [UInt8]) {
        guard bytes.hasBytes(Array("#!".utf8), at: 0) else { return nil }
        let line = bytes.prefix(Self.greatestSize).dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
        guard let text = String(validating: line, as: UTF8.self) else { return nil }
        let words = text.split(maxSplits: 1, omittingEmptySubsequences: true) { Self.isBlank($0) }
        guard let interpreter = words.first else { return nil }
        self.interpreter = String(interpreter)
        let rest = words.dropFirst().first?.drop(while: Self.isBlank) ?? ""
        argument = String(rest.reversed().drop(while: Self.isBlank).reversed())
    }

    /// The program that env(1) is asked for, when it is the interpreter.
    var programOfEnv: String? {
        guard PathWalk.lastPart(of: interpreter) == "env" else { return nil }
        return argument.split(whereSeparator: Self.isBlank).first { !$0.hasPrefix("-") && !$0.contains("=") }
            .map(String.init)
    }

    private static func isBlank(_ character: Character) -> Bool {
        character == " " || character == "\t"
    }
}
