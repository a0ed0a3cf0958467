@testable import TestSupport
import XCTest

/// The built-in guests, and files, from the command line: what they print, count and end with.
final class RunCommandTests: KVMTestCase {
    func testHello() throws {
        let recorded = try RecordedRun(["--guest", "hello"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.run.outputText, "Hello from real mode!\n")
        XCTAssertEqual(recorded.run.errors, "")
        XCTAssertEqual(recorded.exits, ["io_out": 22, "hlt": 1])
        XCTAssertEqual(recorded.totalExits, 23)
        XCTAssertEqual(recorded.ending, "halted")
    }

    func testBootSector() throws {
        let recorded = try RecordedRun(["--guest", "boot-sector"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.run.outputText, "Hello from a boot sector!\r\n")
        XCTAssertEqual(recorded.exits, ["io_out": 27, "hlt": 1])
    }

    func testCountersInEveryLayout() throws {
        for arguments in [
            ["--leaves", "f22"], ["--leaves", "f21", "--argument", "21"], ["--leaves", "s21", "--argument", "121"],
        ] {
            let recorded = try RecordedRun(["--guest", "counters"] + arguments)
            recorded.run.assertStatus(0)
            XCTAssertTrue(recorded.run.outputText.hasSuffix("\nOK\n"), recorded.run.outputText)
            XCTAssertEqual(recorded.record["leaves"]?.string, arguments[1])
            XCTAssertEqual(recorded.ending, "exit_port")
            XCTAssertEqual(recorded.exits["cpuid"], arguments[1] == "s21" ? 13 : 21)
            XCTAssertEqual(recorded.exits["io_in"], 5)
            XCTAssertEqual(recorded.exits["mmio_read"], 3)
            XCTAssertEqual(recorded.exits["mmio_write"], 4)
            // Twice ten OUTs between questions, one that ends the run, and one for each byte printed.
            XCTAssertEqual(recorded.exits["io_out"], Int64(21 + recorded.run.output.count))
        }
    }

    func testCountersNoticeTheOtherLayout() throws {
        let run = try CommandLineRun(["run", "--guest", "counters", "--leaves", "f21"])
        run.assertStatus(1)
        XCTAssertTrue(run.outputText.hasSuffix("\nMISMATCH\n"), run.outputText)
    }

    func testReportAsksForTheLayoutThatTheGuestIsMadeFor() throws {
        let image = try makeFolder().file("s21.bin", TinyGuest.typesThenTotals)
        let asked = "0x4FFFFFFE 70 times with ECX 0 to 69, 0x4FFFFFFF once"
        for (leaves, words) in [
            ("f22", "asked \(asked) with ECX 0: is this layout s21?"),
            ("f21", "asked \(asked) with ECX 0: is this layout s21?"), ("s21", "asked \(asked)."),
        ] {
            let run = try CommandLineRun(["run", image, "--leaves", leaves])
            run.assertStatus(0)
            XCTAssertTrue(run.errors.contains("\nCounter leaves, layout \(leaves): \(words)\n"), run.errors)
            let record = try RecordedRun([image, "--leaves", leaves]).record["counter_leaves"]
            XCTAssertEqual(record?["likelier_layouts"]?.elements.map(\.string), leaves == "s21" ? [] : ["s21"])
            XCTAssertEqual(record?["asked"]?.elements.map { $0["count"]?.integer }, [70, 1])
        }
    }

    func testStorm() throws {
        let recorded = try RecordedRun(["--guest", "storm", "--argument", "1000"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.run.output, [])
        XCTAssertEqual(recorded.exits, ["io_out": 1000, "hlt": 1])
    }

    func testMMIOOfNobody() throws {
        let recorded = try RecordedRun(["--guest", "mmio"])
        recorded.run.assertStatus(0)
        XCTAssertTrue(recorded.run.outputText.hasSuffix("\nOK\n"), recorded.run.outputText)
        XCTAssertEqual(recorded.exits["mmio_read"], 6)
        XCTAssertEqual(recorded.exits["mmio_write"], 6)
        XCTAssertEqual(
            recorded.record["unclaimed_pages"],
            try JSONValue(
                """
                [{"address": 655360, "reads": 3, "writes": 3}, {"address": 753664, "reads": 3, "writes": 3}]
                """))
    }

    func testStringIO() throws {
        let recorded = try RecordedRun(["--guest", "string-io"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(
            recorded.run.outputText,
            """
            rep outsb, upward
            rep outsb, downward
            rep insb, upward:   all ones
            rep insw, upward:   all ones
            rep insw, downward: all ones
            OK

            """)
        let ports = recorded.record["unclaimed_ports"]?.elements ?? []
        XCTAssertEqual(ports.map { $0["address"]?.integer }, [0x1f50])
        XCTAssertEqual(ports.first?["writes"]?.integer, 0)
        XCTAssertEqual(ports.first?["reads"]?.integer, recorded.exits["io_in"])
    }

    func testExitPortSetsTheStatus() throws {
        let folder = try makeFolder()
        for status: UInt8 in [0, 1, 42, 124, 255] {
            let recorded = try RecordedRun([folder.file("exit.bin", TinyGuest.exit(with: status))])
            recorded.run.assertStatus(Int32(status))
            XCTAssertEqual(recorded.record["outcome"]?["exit_status"]?.integer, Int64(status))
            XCTAssertEqual(recorded.ending, "exit_port")
            XCTAssertEqual(recorded.exits, ["io_out": 1])
        }
    }

    func testDumpedGuestRunsAsTheBuiltInOne() throws {
        let folder = try makeFolder()
        for name in ["hello", "boot-sector", "mmio"] {
            let image = folder.path(name)
            try CommandLineRun(["guests", "dump", name, "-o", image]).assertStatus(0)
            let dumped = try RecordedRun([image])
            let builtIn = try RecordedRun(["--guest", name])
            dumped.run.assertStatus(0)
            XCTAssertEqual(dumped.run.output, builtIn.run.output)
            XCTAssertEqual(dumped.exits, builtIn.exits)
        }
    }

    func testImageComesThroughAPipe() throws {
        let image = try makeFolder().file("letter.bin", TinyGuest.letter)
        let minivmm = try MiniVMMExecutable.path()
        let run = try CommandLineRun(command: ["sh", "-c", "cat \(image) | \(minivmm) run /dev/stdin --stats none"])
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, "A")
    }

    func testPromisesAboutTheEntryStateHold() throws {
        // add al, dl; add al, cl; out 0xf4, al: DL is 0x80, the first hard disk, and CL the argument's low byte.
        let file = try makeFolder().file("entry.bin", [0x30, 0xc0, 0x00, 0xd0, 0x00, 0xc8, 0xe6, 0xf4])
        try CommandLineRun(["run", file, "--argument", "0xff"]).assertStatus(64)
        try CommandLineRun(["run", file, "--argument", "4294967041"]).assertStatus(0x81)
    }
}
