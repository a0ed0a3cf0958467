@testable import Boot
@testable import TestSupport
import XCTest

/// --memory, --load-address and --entry.
final class LoadingOptionTests: KVMTestCase {
    private func run(_ image: [UInt8], _ options: [String]) throws -> CommandLineRun {
        let file = try makeFolder().file("image.bin", image)
        return try CommandLineRun(["run", file, "--stats", "none"] + options)
    }

    private func checkRuns(_ options: [String], line: UInt = #line) throws {
        let run = try run(TinyGuest.letter, options)
        run.assertStatus(0, "\(options)", line: line)
        XCTAssertEqual(run.outputText, "A", "\(options)", line: line)
        XCTAssertEqual(run.errors, "", line: line)
    }

    private func checkFails(_ options: [String], _ status: Int32, says words: String, line: UInt = #line) throws {
        let run = try run(TinyGuest.letter, options)
        run.assertStatus(status, "\(options)", line: line)
        XCTAssertEqual(run.output, [], "\(options)", line: line)
        XCTAssertTrue(run.errors.contains(words), "\(options): \(run.errors)", line: line)
    }

    func testImageFromStandardInput() throws {
        try TestBed.skipWhereEmulated()
        let file = try makeFolder().file("image.bin", TinyGuest.letter)
        let run = try CommandLineRun(["run", "-", "--stats", "json"], input: file)
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, "A")
        let none = try CommandLineRun(["run", "-"])
        none.assertStatus(65)
        XCTAssertTrue(none.errors.contains("standard input is empty."), none.errors)
        let terminal = try PseudoTerminal()
        let typed = try CommandLineRun(["run", "-"], input: terminal.path)
        typed.assertStatus(66)
        XCTAssertTrue(typed.errors.contains("standard input is a terminal, not a file."), typed.errors)
    }

    /// A command line that is too long says how long it is, and with that what it has.
    func testKernelArguments() throws {
        try TestBed.skipWhereEmulated()
        let kernel = try makeFolder().file("bzImage", SampleBzImage().bytes)
        let long = String(repeating: "x", count: 5000)
        func size(_ options: [String]) throws -> Int {
            let run = try CommandLineRun(["run", kernel, "--force", "--stats", "none", "--append", long] + options)
            run.assertStatus(64)
            let words = run.errors.split(separator: " ")
            return try XCTUnwrap(words.firstIndex(of: "has").flatMap { Int(words[$0 + 1]) }, run.errors)
        }
        XCTAssertEqual(
            try size([]) - size(["--no-default-append"]), LinuxGuest.defaultCommandLine.utf8.count + 1)
        let flat = try self.run(TinyGuest.letter, ["--no-default-append"])
        flat.assertStatus(64)
        XCTAssertTrue(
            flat.errors.contains("--append or --no-default-append is for a Linux or Multiboot kernel"), flat.errors)
    }

    func testMemorySizes() throws {
        for size in ["1M", "1MiB", "1048576", "1048576b", "1028k", "16mb", "3G"] { try checkRuns(["--memory", size]) }
    }

    func testMemorySizesOutOfRange() throws {
        for size in ["1", "4K", "1023K", "1048575", "1048577", "3145732K", "4G", "16T"] {
            try checkFails(["--memory", size], 64, says: "Choose a --memory from 1M to 3G, in whole pages of 4 KiB.")
        }
        try checkFails(["--memory", "17"], 64, says: "A flat guest cannot have 17 bytes of memory.")
    }

    func testLoadAddresses() throws {
        // The lowest; the guest's own end at 640 KiB; decimal; the last paragraph that a segment reaches.
        for address in ["0x500", "0x9fffb", "31744", "0X7C00"] { try checkRuns(["--load-address", address]) }
        try checkRuns(["--load-address", "0x100000", "--entry", "ffff:0010"])
        try checkRuns(["--load-address", "0x10ffeb", "--entry", "ffff:fffb"])
    }

    func testLoadAddressesThatAreNone() throws {
        let range = "Choose a --load-address from 0x500 to 0x9ffff, or from 0x100000 to the end of --memory."
        for address in ["0", "0x4ff", "0xa0000", "0xfffff", "0x1000000", "0xffffffffffffffff"] {
            try checkFails(["--load-address", address], 64, says: range)
        }
        try checkFails(
            ["--load-address", "0x100000"], 64,
            says: "Real mode cannot be entered at 0x100000, where the image is loaded.\nGive --entry SEGMENT:OFFSET")
    }

    func testImageThatDoesNotFit() throws {
        try checkFails(
            ["--load-address", "0x9fffc"], 65, says: "The image has 5 bytes, and at 0x9fffc there is room for 4.")
        try checkFails(
            ["--load-address", "0x100000", "--memory", "1M", "--entry", "0:7c00"], 65,
            says: "The image has 5 bytes, and at 0x100000 there is room for 0.")
        try checkFails(
            ["--load-address", "0x1ffffc", "--memory", "2M", "--entry", "0:7c00"], 65,
            says: "The image has 5 bytes, and at 0x1ffffc there is room for 4.")
        let oversized = try run([UInt8](repeating: 0xf4, count: 0x98401), [])
        oversized.assertStatus(65)
        XCTAssertTrue(
            oversized.errors.contains("The image has 623617 bytes, and at 0x7c00 there is room for 623616."),
            oversized.errors)
        let fitting = try run([UInt8](repeating: 0xf4, count: 0x98400), [])
        fitting.assertStatus(0)
    }

    func testEntry() throws {
        // A HLT to be jumped over, and the guest behind it.
        let image = [0xf4] + TinyGuest.letter
        for (options, output) in [
            ([], ""), (["--entry", "0:7c00"], ""), (["--entry", "0:7c01"], "A"), (["--entry", "07c0:0001"], "A"),
            (["--entry", "0x7c0:0x1"], "A"), (["--load-address", "0x500", "--entry", "50:1"], "A"),
        ] {
            let run = try run(image, options)
            run.assertStatus(0, "\(options)")
            XCTAssertEqual(run.outputText, output, "\(options)")
        }
    }

    func testSegmentAtEntry() throws {
        for (options, address) in [
            ([], "0000:7C00"), (["--entry", "07c0:0"], "07C0:0000"), (["--entry", "700:c00"], "0700:0C00"),
            (["--load-address", "0xfff0"], "0000:FFF0"), (["--load-address", "0x12345"], "1234:0005"),
        ] {
            let run = try run(TinyGuest.divideByZero, options)
            run.assertStatus(1, "\(options)")
            XCTAssertTrue(
                run.errors.contains("unhandled interrupt vector 0x00 (#DE, divide error) at \(address)."),
                "\(options): \(run.errors)")
        }
    }
}
