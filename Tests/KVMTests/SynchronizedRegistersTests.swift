import CKVM
import XCTest

@testable import KVM

/// Registers out of the run page.
final class SynchronizedRegistersTests: XCTestCase {
    private func makeGuest() throws -> RealModeGuest {
        try RealModeGuest([
            0xb8, 0x34, 0x12,  // mov ax, 0x1234
            0x8e, 0xd8,  // mov ds, ax
            0xe6, 0x10,  // out 0x10, al
            0xb8, 0x78, 0x56,  // mov ax, 0x5678
            0x8e, 0xd8,  // mov ds, ax
            0xe6, 0x10,  // out 0x10, al
            0xf4,  // hlt
        ])
    }

    /// Whoever wants the segment registers from now on gets those of the exit that there was, not what the page holds from
    /// an earlier one, or from none.
    func testSpecialRegistersAreThereAtOnce() throws {
        let guest = try makeGuest()
        let supported = try UInt64(KVM().value(of: .syncRegisters))
        try XCTSkipIf(supported & ckvm_sync_sregs == 0, "This KVM keeps no segment registers in the run page.")
        let registers = SynchronizedRegisters(vcpu: guest.vcpu, supported: supported, demand: .general)
        _ = try guest.nextExit()
        XCTAssertFalse(registers.hasSpecial)
        try registers.wantSpecial(true)
        XCTAssertTrue(registers.hasSpecial)
        XCTAssertEqual(try registers.special().ds.base, 0x1_2340)
        XCTAssertEqual(try registers.special(), try guest.vcpu.specialRegisters())

        try registers.wantSpecial(false)
        _ = try guest.nextExit()
        try registers.wantSpecial(true)
        XCTAssertEqual(try registers.special().ds.base, 0x5_6780)
        _ = try guest.nextExit()
        XCTAssertEqual(try registers.special(), try guest.vcpu.specialRegisters())
    }
}
