@testable import Counters
@testable import KVM
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// Whether Linux guests boot, asked of the KVM at hand, and said of others.
final class LinuxSupportTests: XCTestCase {
    func testSelfTestHasAnAnswer() throws {
        let kvm = try TestKVM.shared()
        let support = try kvm.linuxSupport()
        // LinuxBootTests shows that what it promises is kept.
        XCTAssertTrue([.works, .emulatesRingZero].contains(support), support.verdict)
        XCTAssertEqual(try kvm.linuxSupport(), support)
    }

    func testVerdicts() {
        XCTAssertTrue(LinuxSupport.works.isComplete)
        XCTAssertNil(LinuxSupport.works.obstacle)
        XCTAssertNil(LinuxSupport.works.remedy)
        for (support, word) in [
            (LinuxSupport.missingCapability(.pit2), "KVM_CAP_PIT2"), (.emulatesRingZero, "emulates ring 0"),
            (.dies(.tripleFault), "triple fault"),
        ] {
            XCTAssertFalse(support.isComplete)
            XCTAssertNotNil(support.remedy)
            XCTAssertTrue(support.verdict.hasPrefix("Linux guests cannot boot here, because "), support.verdict)
            XCTAssertTrue(support.verdict.contains(word), support.verdict)
        }
    }
}
