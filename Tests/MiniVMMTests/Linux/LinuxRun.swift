@testable import Counters
@testable import TestSupport
import XCTest

/// What came of a Linux guest that a test booted.
struct LinuxRun {
    let outcome: RunOutcome
    let console: String
    /// Where the first vCPU's interrupt descriptor table was at the end.
    var interruptTable: UInt64?

    /// How the run ended, by its name in the JSON format.
    var ending: String { outcome.ending.name }

    /// What the script printed as `name=value`.
    subscript(name: String) -> String? {
        lines.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    /// What the script printed as `name=value`, a number.
    func number(_ name: String) throws -> Int {
        try XCTUnwrap(self[name].flatMap { Int($0) }, console)
    }

    /// What the script printed as `name=value kB`.
    func kibibytes(_ name: String) throws -> Int {
        let words = try XCTUnwrap(self[name], console).split(separator: " ")
        XCTAssertEqual(words.last, "kB")
        return try XCTUnwrap(words.first.flatMap { Int($0) }, console)
    }

    /// The lines of the console, without their ends.
    var lines: [String] {
        console.split(whereSeparator: \.isNewline).map(String.init)
    }
}
