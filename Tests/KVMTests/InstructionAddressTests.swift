@testable import TestSupport
import XCTest

@testable import KVM

/// Where an instruction is: the linear address of RIP, by the mode of the processor.
final class LinearInstructionPointerTests: XCTestCase {
    private static let longModeEnabled: UInt64 = 1 << 8
    private static let longModeActive: UInt64 = 1 << 10

    private func linear(base: UInt64, rip: UInt64, efer: UInt64 = 0, l: UInt8 = 0, db: UInt8 = 0) -> UInt64 {
        var special = SpecialRegisters()
        special.cs.base = base
        special.cs.l = l
        special.cs.db = db
        special.efer = efer
        var general = GeneralRegisters()
        general.rip = rip
        return general.linearInstructionPointer(special)
    }

    func test16BitCode() {
        XCTAssertEqual(linear(base: 0, rip: 0x7c00), 0x7c00)
        XCTAssertEqual(linear(base: 0x7c00, rip: 5), 0x7c05)
        XCTAssertEqual(linear(base: 0xf_fff0, rip: 0xffff), 0x10_ffef, "the end of real mode's addresses")
        XCTAssertEqual(linear(base: 0xffff_0000, rip: 0xfff0), 0xffff_fff0, "after a reset")
    }

    func test32BitCode() {
        XCTAssertEqual(linear(base: 0, rip: 0xffff_ffff, db: 1), 0xffff_ffff)
        XCTAssertEqual(linear(base: 0x1000_0000, rip: 0xc000_0000, db: 1), 0xd000_0000)
    }

    /// Modulo 2^32, with and without long mode under it.
    func testWrapAround() {
        for efer in [0, Self.longModeEnabled, Self.longModeEnabled | Self.longModeActive] {
            XCTAssertEqual(linear(base: 0xffff_fff0, rip: 0x20, efer: efer, db: 1), 0x10)
            XCTAssertEqual(linear(base: 0xffff_ffff, rip: 0xffff_ffff, efer: efer, db: 1), 0xffff_fffe)
            XCTAssertEqual(linear(base: 0x1, rip: 0xffff_ffff, efer: efer), 0)
            XCTAssertEqual(linear(base: 0xffff_ffff_0000_1000, rip: 2, efer: efer), 0x1002)
            XCTAssertEqual(linear(base: .max, rip: .max, efer: efer), 0xffff_fffe, "no trap")
        }
    }

    func test64BitCodeHasNoBase() {
        let efer = Self.longModeEnabled | Self.longModeActive
        XCTAssertEqual(linear(base: 0x1000, rip: 0xffff_ffff_8100_0000, efer: efer, l: 1), 0xffff_ffff_8100_0000)
        XCTAssertEqual(linear(base: .max, rip: .max, efer: efer, l: 1), .max)
        XCTAssertEqual(linear(base: 0, rip: 0x1_0000_0000, efer: efer, l: 1), 0x1_0000_0000)
    }

    /// CS.L means something only while long mode is active.
    func testLongCodeSegmentOutsideLongMode() {
        for efer in [0, Self.longModeEnabled] {
            XCTAssertEqual(linear(base: 0x1000, rip: 0x1_0000_0234, efer: efer, l: 1), 0x1234)
        }
    }
}

/// What KVM_SET_GUEST_DEBUG is handed for breakpoints. Source: Intel SDM, volume 3, "Debug registers".
final class DebugRegistersTests: XCTestCase {
    /// The eight values as an array.
    private func values(_ addresses: [UInt64]) -> [UInt64] {
        let (dr0, dr1, dr2, dr3, dr4, dr5, dr6, dr7) = DebugRegisters.values(
            for: addresses.map { DebugPoint(.execute, at: $0) })
        return [dr0, dr1, dr2, dr3, dr4, dr5, dr6, dr7]
    }

    func testBreakpoints() {
        let high: UInt64 = 0xffff_ffff_8100_0000
        // DR7: bit 10 is always 1; G0 to G3 are bits 1, 3, 5 and 7.
        XCTAssertEqual(values([]), [0, 0, 0, 0, 0, 0, 0, 0x400])
        XCTAssertEqual(values([high]), [high, 0, 0, 0, 0, 0, 0, 0x402])
        XCTAssertEqual(values([1, high]), [1, high, 0, 0, 0, 0, 0, 0x40a])
        XCTAssertEqual(values([1, 2, 3]), [1, 2, 3, 0, 0, 0, 0, 0x42a])
        XCTAssertEqual(values([1, 2, 3, high]), [1, 2, 3, high, 0, 0, 0, 0x4aa])
    }

    /// Address 0 is an address as any other.
    func testBreakpointAtZero() {
        XCTAssertEqual(values([0]), [0, 0, 0, 0, 0, 0, 0, 0x402])
    }

    /// R/W in bits 16 and 17 and LEN in bits 18 and 19, and four bits further on for each register.
    func testWatchpoints() {
        func control(_ points: [DebugPoint]) -> UInt64 { DebugRegisters.values(for: points).7 }
        XCTAssertEqual(control([DebugPoint(.write, at: 0x500)]), 0x1_0402)
        XCTAssertEqual(control([DebugPoint(.write, at: 0x500, length: 2)]), 0x5_0402)
        XCTAssertEqual(control([DebugPoint(.write, at: 0x500, length: 4)]), 0xd_0402)
        XCTAssertEqual(control([DebugPoint(.readWrite, at: 0x500, length: 8)]), 0xb_0402)
        XCTAssertEqual(
            control([DebugPoint(.execute, at: 0x500, length: 4), DebugPoint(.readWrite, at: 0x500, length: 4)]),
            0xf0_040a)
    }

    func testFurtherOnesAreLeftOut() {
        XCTAssertEqual(DebugRegisters.breakpointCount, 4)
        XCTAssertEqual(values([1, 2, 3, 4, 5]), values([1, 2, 3, 4]))
        XCTAssertEqual(values([UInt64](repeating: 9, count: 1000)), [9, 9, 9, 9, 0, 0, 0, 0x4aa])
    }
}
