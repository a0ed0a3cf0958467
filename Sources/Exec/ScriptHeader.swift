import Boot
import Host

/// The first line of a script: `#!`, an interpreter, and perhaps one argument.
///
/// Source: Linux, fs/binfmt_script.c.
struct ScriptHeader: Hashable, Sendable {
    /// The interpreter's path.
    let interpreter: String
    /// What is behind it, if anything.
    package let argument: String

    /// How much of the file the kernel looks at. Source: Linux, BINPRM_BUF_SIZE.
    private static let maximumSize = 256
    private static let blanks = [UInt8(ascii: " "), UInt8(ascii: "\t")]

    /// Reads the line.
    ///
    /// - Returns: Nil when the file does not begin like a script, or names no interpreter.
    init?(_ bytes: [UInt8]) {
        guard bytes.hasBytes(Array("#!".utf8), at: 0) else { return nil }
        let line = bytes.prefix(Self.maximumSize).dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
        let text = line.drop { Self.blanks.contains($0) }
        let name = text.prefix { !Self.blanks.contains($0) }
        guard !name.isEmpty else { return nil }
        interpreter = ForeignText.text(name)
        var rest = text.dropFirst(name.count).drop { Self.blanks.contains($0) }
        while let last = rest.last, Self.blanks.contains(last) { rest.removeLast() }
        argument = ForeignText.text(rest)
    }

    /// The program that env(1) is asked for, when it is the interpreter, as far as can be told.
    ///
    /// A guess: what stands there can depend on the environment, and env need not be what it is called.
    var programOfEnv: String? {
        guard PathWalk.lastPart(of: interpreter) == "env", !argument.isEmpty else { return nil }
        return EnvArguments.program(ForeignText.bytes(argument)).map(ForeignText.text)
    }
}

/// What env(1) does with its arguments, as far as it takes to find the program that it starts.
///
/// Source: GNU coreutils manual, "env invocation"; src/env.c.
enum EnvArguments {
    private static let shortWithValue = Array("uC".utf8)
    private static let shortWithoutValue = Array("i0v".utf8)
    private static let longWithValue = ["unset", "chdir", "argv0"]

    /// The program, if there is one to be seen.
    ///
    /// - Parameter argument: The one argument that the kernel gives to a script's interpreter.
    static func program(_ argument: [UInt8]) -> [UInt8]? {
        var words = [argument][...]
        // What splitting gives is bounded by the line of 256 bytes, and so is this loop: each turn takes a word.
        while let word = words.popFirst() {
            guard word.first == UInt8(ascii: "-"), word.count > 1 else {
                // A lone `-` is -i; what has an equals sign is a setting.
                if word == [UInt8(ascii: "-")] || word.contains(UInt8(ascii: "=")) { continue }
                return word.isEmpty ? nil : word
            }
            guard word != Array("--".utf8) else { continue }
            let taken = word.starts(with: Array("--".utf8)) ? long(word, &words) : short(word.dropFirst(), &words)
            guard taken else { return nil }
        }
        return nil
    }

    /// Takes a word of short options.
    private static func short(_ word: ArraySlice<UInt8>, _ words: inout ArraySlice<[UInt8]>) -> Bool {
        var rest = word
        while let option = rest.popFirst() {
            if shortWithoutValue.contains(option) { continue }
            if shortWithValue.contains(option) || option == UInt8(ascii: "a") {
                return !rest.isEmpty || words.popFirst() != nil
            }
            guard option == UInt8(ascii: "S"), let text = rest.isEmpty ? words.popFirst() : Array(rest),
                let split = split(text)
            else { return false }
            words = split[...] + words
            return true
        }
        return true
    }

    /// Takes a long option.
    private static func long(_ word: [UInt8], _ words: inout ArraySlice<[UInt8]>) -> Bool {
        let parts = word.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        // Without the two dashes.
        let name = ForeignText.text(parts[0].dropFirst(2))
        let value = parts.count > 1 ? Array(parts[1]) : nil
        if name == "split-string" {
            guard let text = value ?? words.popFirst(), let split = split(text) else { return false }
            words = split[...] + words
        } else if longWithValue.contains(name), value == nil {
            return words.popFirst() != nil
        }
        return true
    }

    /// The words of a string, by the rules of `-S`; nil when they depend on the environment, or the string is wrong.
    static func split(_ text: [UInt8]) -> [[UInt8]]? {
        var words: [[UInt8]] = []
        var word: [UInt8]?
        var quote: UInt8?
        var rest = text[...]
        while let byte = rest.popFirst() {
            if byte == Sign.backslash, quote != Sign.single || rest.first == byte || rest.first == Sign.single {
                switch rest.popFirst().flatMap({ escaped($0, isQuoted: quote != nil) }) {
                case .byte(let byte): word = (word ?? []) + [byte]
                case .separator: endWord(&word, &words)
                case .end: rest = []
                case nil: return nil
                }
            } else if byte == quote || quote == nil && (byte == Sign.single || byte == Sign.double) {
                quote = quote == nil ? byte : nil
                word = word ?? []
            } else if quote == nil, byte == 0x20 || (0x09...0x0d).contains(byte) {
                endWord(&word, &words)
            } else if quote == nil, word == nil, byte == Sign.number {
                break
            } else if byte == Sign.dollar, quote != Sign.single {
                return nil
            } else {
                word = (word ?? []) + [byte]
            }
        }
        guard quote == nil else { return nil }
        endWord(&word, &words)
        return words
    }

    private static func endWord(_ word: inout [UInt8]?, _ words: inout [[UInt8]]) {
        if let ended = word { words.append(ended) }
        word = nil
    }

    /// What a character means behind a backslash.
    private enum Escaped {
        case byte(UInt8)
        case separator
        case end
    }

    private static func escaped(_ byte: UInt8, isQuoted: Bool) -> Escaped? {
        switch byte {
        case Sign.backslash, Sign.single, Sign.double, Sign.number, Sign.dollar: .byte(byte)
        case UInt8(ascii: "_"): isQuoted ? .byte(0x20) : .separator
        case UInt8(ascii: "c"): isQuoted ? nil : .end
        case UInt8(ascii: "t"): .byte(0x09)
        case UInt8(ascii: "n"): .byte(0x0a)
        case UInt8(ascii: "v"): .byte(0x0b)
        case UInt8(ascii: "f"): .byte(0x0c)
        case UInt8(ascii: "r"): .byte(0x0d)
        default: nil
        }
    }

    private enum Sign {
        static let backslash = UInt8(ascii: "\\")
        static let single = UInt8(ascii: "'")
        static let double = UInt8(ascii: "\"")
        static let number = UInt8(ascii: "#")
        static let dollar = UInt8(ascii: "$")
    }
}
