@testable import TestSupport
import XCTest

/// A guest's kernel says the same with the fault trap on as with it off.
final class ExecKernelLogTests: ExecTestCase {
    /// The kernel's log in the order of the alphabet, without times and with every number as `#`.
    private func log(_ options: [String]) throws -> [String] {
        let run = try exec(options + ["--kernel-log", "--", "/bin/sh", "-c", "exit 3"])
        run.assertStatus(3)
        XCTAssertEqual(run.output, [])
        var lines = run.errors.split(whereSeparator: \.isNewline).map(Self.stripped)
        XCTAssertTrue(lines.contains { $0.hasPrefix("Linux version ") }, run.errors)
        lines = lines.filter { line in !Self.ofBusyHosts.contains { line.hasPrefix($0) } }
        XCTAssertGreaterThan(lines.count, 100)
        return lines.sorted()
    }

    /// How lines start that say that the host has kept the guest waiting, which it does with and without the trap: a
    /// clock that took long to read, and a timer's interrupt that took long.
    private static let ofBusyHosts = ["clocksource: Long readout interval", "hrtimer: interrupt took "]

    private static func stripped(_ line: Substring) -> String {
        // Behind this stands machine code, with addresses in it.
        if line.contains("] Code: ") { return "Code" }
        let text = line.replacing(#/^\[ *[0-9.]+\] /#, with: "")
        return String(text.replacing(#/(0x)?[0-9a-f]*[0-9][0-9a-f]*/#, with: "#"))
    }

    func testNoLineMoreAndNoLineLess() throws {
        let trapped = try log([])
        let untrapped = try log(["--cpuid-trap", "none"])
        let changes = trapped.difference(from: untrapped)
        XCTAssertTrue(changes.isEmpty, "\(changes.insertions)\n\(changes.removals)")
    }
}
