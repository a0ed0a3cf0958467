@testable import Exec
@testable import TestSupport
import XCTest

final class ExecEnvironmentTests: XCTestCase {
    private func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    func testDefaults() {
        let environment = ExecEnvironment(terminal: Array("xterm".utf8))
        XCTAssertEqual(
            environment.settings, bytes(["PATH=\(SearchPath.standard.text)", "HOME=/root", "TERM=xterm"]))
        XCTAssertEqual(environment.value(of: "HOME"), "/root")
        XCTAssertNil(environment.value(of: "HOM"))
    }

    func testALaterSettingTakesThePlaceOfAnEarlierOne() throws {
        var environment = ExecEnvironment()
        for setting in ["A=1", "PATH=/x", "A=", "B=c=d", "A=2"] { try environment.set(Array(setting.utf8)) }
        XCTAssertEqual(environment.settings, bytes(["HOME=/root", "TERM=dumb", "PATH=/x", "B=c=d", "A=2"]))
        XCTAssertEqual(environment.value(of: "B"), "c=d")
    }

    func testWhatIsNoSetting() {
        var environment = ExecEnvironment()
        for text in ["", "A", "=", "=b"] {
            XCTAssertThrowsError(try environment.set(Array(text.utf8))) {
                XCTAssertEqual($0 as? ExecError, .invalidSetting(text))
            }
        }
    }
}
