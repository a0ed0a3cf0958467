@testable import Devices
@testable import Memory
@testable import TestSupport
import XCTest

/// What of a text screen is shown, from look to look.
final class TextScreenTests: XCTestCase {
    /// A screen, and a guest that writes rows.
    private struct Screen {
        let memory: GuestMemory
        let screen: TextScreen

        init() throws {
            memory = try GuestMemory(layout: [(start: TextScreen.start, size: TextScreen.size)])
            screen = TextScreen(memory)
        }

        func write(_ text: String, row: Int, column: Int = 0) throws {
            for (index, byte) in text.utf8.enumerated() { try write(byte, row: row, column: column + index) }
        }

        func write(_ character: UInt8, row: Int, column: Int) throws {
            let offset = UInt64((row * 80 + column) * 2)
            try memory.store(UInt16(character) | 0x0700, at: TextScreen.start &+ offset)
        }

        func scroll() throws {
            let rest = try memory.bytes(at: TextScreen.start &+ 160, count: 24 * 160)
            try memory.write(rest + [UInt8](repeating: 0, count: 160), at: TextScreen.start)
        }

        func look(isLast: Bool = false) -> String { String(decoding: screen.look(isLast: isLast), as: UTF8.self) }
    }

    func testALineIsShownOnceItStandsStill() throws {
        let screen = try Screen()
        XCTAssertEqual(screen.look(), "")
        try screen.write("Hel", row: 2)
        XCTAssertEqual(screen.look(), "", "it may go on")
        try screen.write("lo", row: 2, column: 3)
        XCTAssertEqual(screen.look(), "")
        XCTAssertEqual(screen.look(), "Hello\n")
        XCTAssertEqual(screen.look(), "")
        XCTAssertEqual(screen.look(isLast: true), "")
    }

    func testTheLastLookShowsAll() throws {
        let screen = try Screen()
        try screen.write("one", row: 0)
        try screen.write("  two ", row: 24)
        XCTAssertEqual(screen.look(isLast: true), "one\n  two\n")
    }

    func testWhatScrollsUpIsNotShownAgain() throws {
        let screen = try Screen()
        for row in 0..<25 { try screen.write("line \(row)", row: row) }
        XCTAssertEqual(screen.look(isLast: true).split(separator: "\n").count, 25)
        for number in 25..<28 {
            try screen.scroll()
            try screen.write("line \(number)", row: 24)
        }
        XCTAssertEqual(screen.look(), "")
        XCTAssertEqual(screen.look(), "line 25\nline 26\nline 27\n")
    }

    func testAScreenThatWasClearedShowsNothing() throws {
        let screen = try Screen()
        try screen.write("before", row: 0)
        XCTAssertEqual(screen.look(isLast: true), "before\n")
        for column in 0..<80 { try screen.write(0x20, row: 0, column: column) }
        XCTAssertEqual(screen.look(isLast: true), "")
        try screen.write("before", row: 0)
        XCTAssertEqual(screen.look(isLast: true), "before\n", "it was written again")
    }

    func testCodePage437() throws {
        let screen = try Screen()
        for (column, character): (Int, UInt8) in [(0, 0xc9), (1, 0x01), (2, 0x81), (3, 0x7f), (4, 0x1b), (5, 0xfe)] {
            try screen.write(character, row: 0, column: column)
        }
        XCTAssertEqual(screen.look(isLast: true), "╔☺ü⌂←■\n", "no byte of it is obeyed by a terminal")
    }
}
