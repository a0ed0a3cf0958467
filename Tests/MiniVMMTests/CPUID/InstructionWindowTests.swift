@testable import Memory
@testable import MiniVMM
import XCTest

/// Bytes of instructions as a trap reads them, across pages, and what an OUT at a handler displaces.
final class InstructionWindowTests: XCTestCase {
    /// One page of memory that is followed by nothing, and no paging.
    private func window(_ bytes: [UInt8], at start: UInt64) throws -> InstructionWindow {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 0x1000)])
        try memory.write(bytes, at: GuestPhysicalAddress(start))
        return InstructionWindow(at: start, walk: PageWalk(mode: .none, cr3: 0), memory: memory)
    }

    func testFifteenBytesAndNoMore() throws {
        let window = try window((1...20).map(UInt8.init), at: 0x100)
        XCTAssertEqual((0..<15).map { window[$0] }, (1...15).map { UInt8($0) })
        XCTAssertNil(window[15])
        XCTAssertNil(window[-1])
        XCTAssertNil(window[.min])
        XCTAssertNil(window[.max])
    }

    func testEndOfMemory() throws {
        let window = try window([0x0f], at: 0xfff)
        XCTAssertEqual(window[0], 0x0f)
        XCTAssertNil(window[1])
        XCTAssertEqual(window.prefixCount(is64Bit: true), 0)
    }

    func testPrefixes() throws {
        let cases: [(code: [UInt8], is64Bit: Bool, count: Int)] = [
            ([0x0f, 0xa2], true, 0),  // CPUID
            ([0x66, 0x0f, 0xa2], true, 1),
            ([0x2e, 0x67, 0xf3, 0x0f, 0xa2], true, 3),
            ([0x48, 0x0f, 0xa2], true, 1),  // REX.W in 64-bit mode,
            ([0x48, 0x0f, 0xa2], false, 0),  // elsewhere DEC EAX
            ([0x66, 0x4f, 0x0f, 0xa2], true, 2),
            ([0x48, 0x66, 0x0f, 0xa2], true, 1),  // REX counts only as the last
            ([0x48, 0x48, 0x0f, 0xa2], true, 1),
            ([0xf0, 0x0f, 0xa2], true, 0),  // LOCK makes it an invalid opcode
        ]
        for (code, is64Bit, count) in cases {
            XCTAssertEqual(try window(code, at: 0x10).prefixCount(is64Bit: is64Bit), count, "\(code) \(is64Bit)")
        }
    }

    func testNothingButPrefixes() throws {
        let window = try window([UInt8](repeating: 0x66, count: 30), at: 0)
        XCTAssertEqual(window.prefixCount(is64Bit: true), InstructionWindow.longestInstruction)
    }

    func testAddressThatWraps() throws {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 0x1000)])
        try memory.write([0xa2], at: GuestPhysicalAddress(0))
        // Without paging, addresses have 32 bits: the next byte after the last is the first.
        let window = InstructionWindow(at: .max, walk: PageWalk(mode: .none, cr3: 0), memory: memory)
        XCTAssertNil(window[0])
        XCTAssertEqual(window[1], 0xa2)
    }
}

final class DisplacedInstructionsTests: XCTestCase {
    private static let alignmentCheck: UInt64 = 1 << 18
    private static let direction: UInt64 = 1 << 10

    func testKnownInstructions() throws {
        let cases: [(code: [UInt8], length: Int, flags: UInt64)] = [
            ([0x90, 0x90], 2, 0),  // NOP; NOP
            ([0x66, 0x90], 2, 0),  // 2-byte NOP
            ([0x0f, 0x1f, 0x00], 3, 0),
            ([0x0f, 0x1f, 0x40, 0x00], 4, 0),
            ([0x0f, 0x1f, 0x44, 0x00, 0x00], 5, 0),
            ([0xf3, 0x0f, 0x1e, 0xfa], 4, 0),  // ENDBR64
            ([0x0f, 0x01, 0xca], 3, Self.alignmentCheck),  // CLAC
            ([0xfc, 0x0f, 0x01, 0xca], 4, Self.direction | Self.alignmentCheck),  // CLD; CLAC
            ([0x90, 0xfc], 2, Self.direction),
            ([0x90, 0xf3, 0x0f, 0x1e, 0xfa], 5, 0),  // the second begins inside the patch
        ]
        for (code, length, flags) in cases {
            let displaced = try XCTUnwrap(DisplacedInstructions(code + [0xcc], patchSize: 2), "\(code)")
            XCTAssertEqual(displaced.length, length, "\(code)")
            XCTAssertEqual(displaced.clearedFlags, flags, "\(code)")
        }
    }

    func testUnknownOrCutOff() {
        let cases: [[UInt8]] = [
            [], [0x90], [0xcc, 0x90], [0x90, 0xcc], [0x0f], [0x0f, 0x1f], [0x0f, 0x01, 0xcb], [0xf3, 0x0f, 0x1e],
            [0xfa, 0x90], [0x66],
        ]
        for code in cases { XCTAssertNil(DisplacedInstructions(code, patchSize: 2), "\(code)") }
    }

    func testOnlyWhatBeginsInThePatch() throws {
        // CLD is not displaced by two bytes that two NOPs take.
        let displaced = try XCTUnwrap(DisplacedInstructions([0x90, 0x90, 0xfc], patchSize: 2))
        XCTAssertEqual(displaced.length, 2)
        XCTAssertEqual(displaced.clearedFlags, 0)
    }
}
