@testable import TestSupport
@testable import minivmm_cli
@testable import Devices
import XCTest

final class EscapeKeysTests: XCTestCase {
    /// What came of some bytes that were read piece by piece.
    private func take(_ pieces: [UInt8]...) -> (guest: [UInt8], actions: [EscapeKeys.Action]) {
        var keys = EscapeKeys()
        var guest: [UInt8] = []
        var actions: [EscapeKeys.Action] = []
        for byte in pieces.joined() {
            if let action = keys.take(byte, guest: &guest) { actions.append(action) }
        }
        return (guest, actions)
    }

    func testOtherBytesPass() {
        let all = (0...255).map { UInt8($0) }.filter { $0 != 1 }
        let result = take(all)
        XCTAssertEqual(result.guest, all)
        XCTAssertEqual(result.actions, [])
    }

    func testActions() {
        for (key, action) in [
            ("x", EscapeKeys.Action.quit), ("X", .quit), ("c", .showCounters), ("C", .showCounters), ("h", .help),
            ("H", .help), ("?", .help),
        ] {
            let result = take(Array("ab\u{1}\(key)cd".utf8))
            XCTAssertEqual(result.guest, Array("abcd".utf8), key)
            XCTAssertEqual(result.actions, [action], key)
        }
    }

    func testSequencesSplitOverReads() {
        let result = take([0x61, 1], [0x63], [1], [], [1], [1], [0x68, 0x62])
        XCTAssertEqual(result.guest, [0x61, 1, 0x62])
        XCTAssertEqual(result.actions, [.showCounters, .help])
    }

    func testControlAItselfCanBeSent() {
        for key in [UInt8(1), 0x61, 0x41] {
            let result = take([1, key, 0x78])
            XCTAssertEqual(result.guest, [1, 0x78], "the x after it is an x")
            XCTAssertEqual(result.actions, [])
        }
    }

    func testNothingIsLostAfterAnyOtherKey() {
        for key in (0...255).map({ UInt8($0) }) where key != 1 && !"xXcChH?aA".utf8.contains(key) {
            let result = take([1, key, 0x78])
            XCTAssertEqual(result.guest, [1, key, 0x78])
            XCTAssertEqual(result.actions, [])
        }
    }

    func testAnOpenSequenceSendsNothing() {
        XCTAssertEqual(take([1]).guest, [])
    }

    func testHelpNamesEveryKey() {
        for key in ["Ctrl-A X", "Ctrl-A C", "Ctrl-A H", "Ctrl-A Ctrl-A"] {
            XCTAssertTrue(EscapeKeys.help.contains(key), key)
        }
    }
}
