@testable import TestSupport
import XCTest

/// `compare` as a gate: rules on the exits of real runs.
final class GateTests: KVMTestCase {
    private func run(_ count: Int, _ path: String) throws {
        let image = try makeFolder().file("printer.bin", TinyGuest.printer)
        let options = ["--argument", "\(count)", "--stats", "none", "--report", path]
        try CommandLineRun(["run", image] + options, output: .file("/dev/null")).assertStatus(0)
    }

    /// The same guest passes each time, and one OUT more does not: of a million where there is time for as many.
    func testOneExitMore() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let count = TestExtent.of(20_000, exhaustive: 1_000_000)
        let (old, new) = (folder.path("old.json"), folder.path("new.json"))
        try run(count, old)
        for extra in 0...1 {
            try run(count + extra, new)
            let gate = try CommandLineRun(["compare", "--fail-if", "exits>+0", old, new])
            gate.assertStatus(extra == 0 ? 0 : 3)
            XCTAssertEqual(
                gate.errors,
                extra == 0 ? "" : "minivmm: exits>+0: broken, A \(count + 1), B \(count + 2) (+0.0%).\n")
        }
    }

    func testEveryRunOfTheSameGuestPasses() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let rules = try folder.file("rules", Array("# exact\nexits>+0\nexits<+0\nio_out.count!=+0\n".utf8))
        try run(100, folder.path("0.json"))
        let count = TestExtent.of(10, exhaustive: 50)
        for index in 1...count {
            try run(100, folder.path("\(index).json"))
            try CommandLineRun(["compare", "--rules", rules, folder.path("0.json"), folder.path("\(index).json")])
                .assertStatus(0)
        }
        let all = (1...count).map { folder.path("\($0).json") }
        try CommandLineRun(["compare", "--rules", rules, folder.path("0.json"), "--"] + all).assertStatus(0)
    }

    func testWrongRules() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let path = folder.path("a.json")
        try run(1, path)
        for (options, words) in [
            (["--fail-if", "exits"], "`exits` is no rule"), (["--fail-if", "outs.count>+0"], "no kind of exit `outs`"),
            (["--format", "xml"], "'xml'"),
            (["--rules", try folder.file("rules", Array("x>1\n".utf8))], "there is no `x`"),
        ] {
            let gate = try CommandLineRun(["compare"] + options + [path, path])
            gate.assertStatus(64)
            XCTAssertTrue(gate.errors.contains(words), gate.errors)
        }
        try CommandLineRun(["compare", "--rules", "/nonexistent", path, path]).assertStatus(66)
    }
}
