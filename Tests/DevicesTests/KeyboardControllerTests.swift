@testable import Devices
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

final class KeyboardControllerTests: XCTestCase {
    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        var count: Int { value.load(ordering: .relaxed) }
        func add() { value.add(1, ordering: .relaxed) }
    }

    private let resets = Counter()

    private func makeController() -> KeyboardController {
        KeyboardController { [resets] in resets.add() }
    }

    private func status(_ controller: KeyboardController) -> UInt8 {
        UInt8(truncatingIfNeeded: controller.command.readPort(0, width: .byte))
    }

    /// Gives a command and its parameter, and returns what is in the output buffer then, if anything.
    private func give(_ controller: KeyboardController, _ command: UInt8, _ parameter: UInt8? = nil) -> UInt8? {
        controller.command.writePort(0, width: .byte, value: UInt32(command))
        XCTAssertEqual(status(controller) & 0x02, 0, "the input buffer is never full")
        if let parameter { controller.data.writePort(0, width: .byte, value: UInt32(parameter)) }
        guard status(controller) & 0x01 != 0 else { return nil }
        defer { XCTAssertEqual(status(controller) & 0x01, 0) }
        return UInt8(truncatingIfNeeded: controller.data.readPort(0, width: .byte))
    }

    func testQuietStatus() {
        let controller = makeController()
        XCTAssertEqual(status(controller), 0x14, "passed its self-test, not locked, nothing to read")
        _ = give(controller, 0xAE)
        XCTAssertEqual(status(controller), 0x1C)
        controller.data.writePort(0, width: .byte, value: 0xED)
        XCTAssertEqual(status(controller), 0x14, "a byte for the keyboard gets no answer")
    }

    func testSelfTestsAndPorts() {
        let controller = makeController()
        XCTAssertEqual(give(controller, 0xAA), 0x55)
        XCTAssertEqual(give(controller, 0xAB), 0x00)
        XCTAssertEqual(give(controller, 0xA9), 0x01, "there is no auxiliary port")
        XCTAssertEqual(give(controller, 0xC0), 0x80)
        XCTAssertEqual(give(controller, 0xD0), 0x03)
        XCTAssertEqual(resets.count, 0)
    }

    func testCommandByte() {
        let controller = makeController()
        XCTAssertEqual(give(controller, 0x20), 0x64)
        XCTAssertNil(give(controller, 0x60, 0x74))
        XCTAssertEqual(give(controller, 0x20), 0x74)
        XCTAssertNil(give(controller, 0xAE))
        XCTAssertEqual(give(controller, 0x20), 0x64)
        XCTAssertNil(give(controller, 0xAD))
        XCTAssertEqual(give(controller, 0x20), 0x74)
        XCTAssertNil(give(controller, 0x7F, 0x99))
        XCTAssertEqual(give(controller, 0x3F), 0x99)
    }

    func testResets() {
        let controller = makeController()
        XCTAssertNil(give(controller, 0xFE))
        XCTAssertEqual(resets.count, 1)
        XCTAssertNil(give(controller, 0xFF))
        XCTAssertEqual(resets.count, 1, "no line is pulsed")
        XCTAssertNil(give(controller, 0xF0))
        XCTAssertEqual(resets.count, 2)
        XCTAssertNil(give(controller, 0xD1, 0x03))
        XCTAssertEqual(resets.count, 2)
        XCTAssertNil(give(controller, 0xD1, 0x02))
        XCTAssertEqual(resets.count, 3)
        controller.data.writePort(0, width: .byte, value: 0x02)
        XCTAssertEqual(resets.count, 3, "the command took one byte only")
    }

    /// Linux's i8042_check_aux() (drivers/input/serio/i8042.c): an answer without the auxiliary bit, then a failed test.
    func testLinuxFindsNoAuxiliaryPortWithoutWaiting() {
        let controller = makeController()
        controller.command.writePort(0, width: .byte, value: 0xD3)
        controller.data.writePort(0, width: .byte, value: 0x5A)
        XCTAssertEqual(status(controller) & 0x21, 0x01)
        XCTAssertEqual(give(controller, 0xA9), 0x01)
    }
}
