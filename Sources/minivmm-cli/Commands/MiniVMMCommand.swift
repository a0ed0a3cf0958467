import ArgumentParser
import CKVM
import Glibc
import MiniVMM
import Report

/// The command `minivmm`.
struct MiniVMMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "minivmm",
        abstract: "A small hypervisor that counts and times every VM exit.",
        version: ReportMaker.title,
        subcommands: [
            RunCommand.self, ExecCommand.self, BenchCommand.self, CompareCommand.self, GuestsCommand.self,
            DoctorCommand.self, WatchCommand.self,
        ]
    )

    /// Checks that the first word is a command, if it is no option.
    ///
    /// - Throws: `ValidationError` with the command that may be meant.
    static func checkName(_ words: [String]) throws {
        guard let word = words.first, !word.hasPrefix("-") else { return }
        let names = configuration.subcommands.compactMap { $0.configuration.commandName }
        guard !(names + ["help"]).contains(word) else { return }
        let nearest = names.map { (name: $0, distance: Spelling.distance(word, $0)) }.min { $0.distance < $1.distance }
        let isNear = nearest.map { $0.distance <= Spelling.nearDistance && $0.distance < $0.name.count } ?? false
        let hint = isNear ? nearest.map { " Did you mean `\($0.name)`?" } : nil
        throw ValidationError(
            "There is no command '\(word)'.\(hint ?? "") There are: \(names.joined(separator: ", ")).")
    }
}

/// How words differ.
enum Spelling {
    /// Up to how many mistakes one word may be meant by another.
    static let nearDistance = 2

    /// How many letters have to be added, left out, changed or swapped with the next to make one word of the other.
    static func distance(_ one: String, _ other: String) -> Int {
        let (one, other) = (Array(one.utf8.prefix(32)), Array(other.utf8.prefix(32)))
        var older: [Int] = []
        var last = Array(0...other.count)
        for (row, letter) in one.enumerated() {
            var next = [row + 1]
            for (column, target) in other.enumerated() {
                var best = min(last[column] + (letter == target ? 0 : 1), last[column + 1] + 1, next[column] + 1)
                if row > 0, column > 0, letter == other[column - 1], one[row - 1] == target {
                    best = min(best, older[column - 1] + 1)
                }
                next.append(best)
            }
            (older, last) = (last, next)
        }
        return last[other.count]
    }
}

/// Where the program starts: plain command lines take the short way, all others that of ArgumentParser.
@main
enum EntryPoint {
    static func main() {
        // One heap for all threads: they allocate little, and each heap more takes pages and system calls to make.
        ckvm_use_one_heap()
        _ = ProcessWatch.processStart
        guard MainStack.isSmall else { return work() }
        MainStack.withLargerOne(work)
    }

    private static func work() {
        let words = CommandWords.ofThisProcess.parsed
        Confinement.closeStrayDescriptors(namedIn: words)
        do {
            if let configuration = PlainArguments.parse(words) {
                try configuration.run()
            } else {
                try MiniVMMCommand.checkName(words)
                var command = try MiniVMMCommand.parseAsRoot(words)
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    /// Ends the process as ArgumentParser does, but that what it repeats of the command line is shown as text.
    private static func end(with error: any Error) -> Never {
        let status = MiniVMMCommand.exitCode(for: error)
        let message = MiniVMMCommand.fullMessage(for: error)
        if !message.isEmpty {
            if status == .success {
                try? OutputFile.standardOutput.write(Array((message + "\n").utf8))
            } else {
                StandardError.write(message + "\n")
            }
        }
        exit(status.rawValue)
    }
}
