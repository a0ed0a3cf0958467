import Glibc
import Host

/// The words of the command line, and which of them are for ArgumentParser.
///
/// The program of `exec` and its arguments are not: they are bytes of any kind, there can be a hundred thousand of
/// them, and nothing in them is an option of ours. So the command line is cut where the program begins, and the rest is
/// kept aside.
struct CommandWords {
    /// What ArgumentParser is given, without the command's own name.
    let parsed: [String]
    /// The program of `exec` with its arguments; nil where there is none, or the command line is no such.
    let program: [[UInt8]]?

    /// The whole command line, the command's own name first, for people to read.
    let asTyped: [String]

    /// Those that this process was started with.
    static let ofThisProcess = CommandWords(RawArguments.all)

    /// - Parameter words: The words after the command's own name.
    init(_ words: [[UInt8]]) {
        asTyped = (CommandLine.arguments.first.map { [$0] } ?? []) + words.map(ForeignText.text)
        guard let first = words.first, first == Array("exec".utf8), let start = Self.programStart(in: words) else {
            let texts = words.map(ForeignText.text)
            parsed = texts.first == "compare" ? texts.map { $0 == "--" ? Self.sideDivider : $0 } : texts
            program = nil
            return
        }
        program = Array(words[start...])
        // The name stands for all of it, so that ArgumentParser finds that there is a program.
        let options = words[..<start].map(ForeignText.text)
        parsed = options + (options.last == "--" ? ["program"] : ["--", "program"])
    }

    private static let divider = Array("--".utf8)
    /// What stands for the `--` of `compare` among its files: no word of a command line has a zero. ArgumentParser would
    /// forget where the `--` was, and take options behind it for files.
    static let sideDivider = "\0"

    /// The options of `exec` that stand alone.
    private static let flags: Set<String> = [
        "--kernel-log", "--per-vcpu", "--kernel-exits", "--trace-kernel", "--force", "--no-sandbox",
        "--gdb-wait", "--no-default-append", "--rng", "--live",
    ]
    /// Those after which nothing is run.
    private static let questions: Set<String> = ["-h", "--help", "-help", "--version", "--help-hidden", "-help-hidden"]

    /// The options, with a value each, that are not for the single runs of a command that is repeated.
    private static let repeatOptions: Set<String> = ["--repeat", "--warmup", "--stats", "--stats-file", "--report"]

    /// The words of one run of a command that is repeated.
    ///
    /// - Parameters:
    ///   - words: The words after the command's own name.
    ///   - path: Where the run writes its report.
    static func forOneRun(_ words: [[UInt8]], recordTo path: String) -> [[UInt8]] {
        let isExec = words.first == Array("exec".utf8)
        let end = isExec ? programStart(in: words) ?? words.count : words.count
        var kept = Array(words.prefix(1)) + ["--stats", "json", "--stats-file", path].map { Array($0.utf8) }
        var index = 1
        while index < end {
            let name = ForeignText.text(words[index].prefix { $0 != UInt8(ascii: "=") })
            if repeatOptions.contains(name) {
                index += words[index].contains(UInt8(ascii: "=")) ? 1 : 2
            } else {
                kept.append(words[index])
                index += 1
            }
        }
        return kept + words[min(end, words.count)...]
    }

    /// Where the program of `exec` stands; nil where that is for ArgumentParser to say, such as for a wrong option.
    private static func programStart(in words: [[UInt8]]) -> Int? {
        var index = 1
        while index < words.count {
            let word = words[index]
            if word == divider { return index + 1 < words.count ? index + 1 : nil }
            guard word.first == UInt8(ascii: "-"), word.count > 1 else { return index }
            let text = ForeignText.text(word)
            guard text.hasPrefix("--"), !questions.contains(text) else { return nil }
            // An option with its value behind an equals sign, or that has none, or whose value is the next word.
            index += flags.contains(text) || word.contains(UInt8(ascii: "=")) ? 1 : 2
        }
        return nil
    }
}

/// What this process was given by the one that started it, byte for byte: it need not be text.
enum RawArguments {
    /// The words of the command line after the command's own name.
    static var all: [[UInt8]] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            // Sound: the index is less than the number of arguments, and each ends with a zero.
            unsafe CommandLine.unsafeArgv[index].map(unsafe bytes)
        }
    }

    /// A variable of the environment.
    static func environment(_ name: String) -> [UInt8]? {
        // Sound: nothing in this process changes the environment.
        unsafe getenv(ForeignText.cString(name)).map(unsafe bytes)
    }

    private static func bytes(_ text: UnsafeMutablePointer<CChar>) -> [UInt8] {
        // Sound: the text ends with a zero.
        unsafe Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}

extension Array where Element: Equatable {
    /// Whether something stands in it twice. For the few things that a person names: a set of them would be a type that is
    /// made at the start of each process.
    var hasRepetition: Bool { indices.contains { self[..<$0].contains(self[$0]) } }
}
