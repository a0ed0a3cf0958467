@testable import Boot
@testable import Exec
@testable import TestSupport
import XCTest

final class ELFProgramTests: XCTestCase {
    private let sample = SampleProgram(
        interpreter: "/lib64/ld-linux-x86-64.so.2", libraries: ["libm.so.6", "libc.so.6"], earlyPath: "/early:/more",
        runPath: nil)

    func testEverythingThatAFileSays() throws {
        for is64Bit in [true, false] {
            var sample = sample
            sample.is64Bit = is64Bit
            let program = try XCTUnwrap(try ELFProgram(sample.bytes))
            XCTAssertEqual(program.identity.is64Bit, is64Bit)
            XCTAssertEqual(program.interpreter, "/lib64/ld-linux-x86-64.so.2")
            XCTAssertEqual(program.libraries, ["libm.so.6", "libc.so.6"])
            XCTAssertEqual(program.earlyPath, "/early:/more")
            XCTAssertEqual(program.runPath, "")
        }
    }

    func testARunPathTakesThePlaceOfAnEarlyPath() throws {
        var sample = sample
        sample.runPath = "$ORIGIN/lib"
        let program = try XCTUnwrap(try ELFProgram(sample.bytes))
        XCTAssertEqual([program.earlyPath, program.runPath], ["", "$ORIGIN/lib"])
    }

    func testAStaticProgramNeedsNothing() throws {
        let program = try XCTUnwrap(try ELFProgram(SampleProgram(type: 2).bytes))
        XCTAssertNil(program.interpreter)
        XCTAssertEqual(program.libraries, [])
        let initProgram = try XCTUnwrap(try ELFProgram(ExecGuest.initImage))
        XCTAssertTrue(initProgram.identity.isX8664)
        XCTAssertNil(initProgram.interpreter)
        XCTAssertEqual(initProgram.libraries, [])
    }

    func testWhatIsNoELFFile() throws {
        XCTAssertNil(try ELFProgram([]))
        XCTAssertNil(try ELFProgram(Array("#!/bin/sh\n".utf8)))
    }

    func testDamage() {
        let whole = sample.bytes
        let cases: [(problem: String, change: (inout [UInt8]) -> Void)] = [
            ("it ends inside its header", { $0.removeLast($0.count - 30) }),
            ("its program headers lie outside the file", { $0.set(UInt64.max - 8, at: 32) }),
            ("it states 65535 program headers of 56 bytes each", { $0.set(UInt16.max, at: 56) }),
            ("it states 3 program headers of 55 bytes each", { $0.set(UInt16(55), at: 54) }),
            ("its dynamic section lies outside the file", { $0.set(UInt64.max, at: 64 + 56 + 8) }),
            ("the name of its interpreter has no end inside the file", { $0.removeLast() }),
            // The address of the first segment: nothing is where the string table should be.
            ("its dynamic section names no string table in the file", { $0.set(UInt64(0), at: 64 + 16) }),
            // The first entry of the dynamic section.
            (
                "its dynamic section names a string outside its string table",
                { $0.set(UInt64(0x1000), at: 64 + 168 + 8) }
            ),
        ]
        for (problem, change) in cases {
            var bytes = whole
            change(&bytes)
            XCTAssertThrowsError(try ELFProgram(bytes)) {
                XCTAssertEqual(($0 as? ELFDamage)?.problem, problem)
            }
        }
    }

    func testEveryPrefixOfAFile() {
        let whole = sample.bytes
        for size in 0..<whole.count {
            // Some prefixes hold all that is asked for; none may trap.
            _ = try? ELFProgram(Array(whole[..<size]))
        }
    }

    func testTenThousandDamagedFiles() throws {
        try TestBed.skipWhereEmulated()
        var failures = 0
        for is64Bit in [true, false] {
            var sample = sample
            sample.is64Bit = is64Bit
            let whole = sample.bytes
            for seed in 0..<10_000 {
                var generator = SeededGenerator(seed: UInt64(seed))
                do {
                    _ = try ELFProgram(Mutation.mutate(whole, at: 0..<whole.count - 8, using: &generator))
                } catch {
                    XCTAssertFalse(error.problem.isEmpty)
                    failures += 1
                }
            }
        }
        XCTAssertGreaterThan(failures, 1000)
    }
}
