@testable import Boot
@testable import Memory
@testable import TestSupport
import XCTest

final class InitrdPlacementTests: XCTestCase {
    private static let gibibyte: UInt64 = 1 << 30
    private static let page: UInt64 = 0x1000

    private func address(
        size: UInt64,
        kernelEnd: UInt64 = 0x200_0000,
        limit: UInt64 = 0x8000_0000,
        canUseHighMemory: Bool = false,
        memorySize: UInt64
    ) throws -> UInt64? {
        let placement = InitrdPlacement(
            kernelEnd: GuestPhysicalAddress(kernelEnd), limit: GuestPhysicalAddress(limit),
            canUseHighMemory: canUseHighMemory)
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: memorySize))
        return placement.address(size: size, in: memory)?.rawValue
    }

    func testAtTheEndOfMemory() throws {
        XCTAssertEqual(try address(size: 1, memorySize: 128 << 20), (128 << 20) - Self.page)
        XCTAssertEqual(try address(size: Self.page, memorySize: 128 << 20), (128 << 20) - Self.page)
        XCTAssertEqual(try address(size: Self.page + 1, memorySize: 128 << 20), (128 << 20) - 2 * Self.page)
    }

    func testBelowTheLimitThatTheHeaderStates() throws {
        XCTAssertEqual(try address(size: 1, memorySize: 3 * Self.gibibyte), 2 * Self.gibibyte - Self.page)
        XCTAssertEqual(try address(size: 1, limit: 0x3801, memorySize: 3 * Self.gibibyte), nil)
        // A limit inside a page: the initrd ends before it all the same.
        XCTAssertEqual(try address(size: 0x801, limit: 0x400_0801, memorySize: 3 * Self.gibibyte), 0x400_0000)
        XCTAssertEqual(try address(size: 0x802, limit: 0x400_0801, memorySize: 3 * Self.gibibyte), 0x3ff_f000)
    }

    func testBeyondTheLimitOnlyWhenTheKernelSaysSo() throws {
        let size = 2 * Self.gibibyte
        XCTAssertNil(try address(size: size, memorySize: 3 * Self.gibibyte))
        XCTAssertEqual(try address(size: size, canUseHighMemory: true, memorySize: 3 * Self.gibibyte), Self.gibibyte)
        XCTAssertNil(try address(size: 3 * Self.gibibyte, canUseHighMemory: true, memorySize: 5 * Self.gibibyte))
        XCTAssertEqual(
            try address(size: 3 * Self.gibibyte, canUseHighMemory: true, memorySize: 6 * Self.gibibyte),
            4 * Self.gibibyte)
    }

    func testNeverOverTheKernel() throws {
        let memorySize: UInt64 = 0x210_0000
        XCTAssertEqual(try address(size: 0x10_0000, memorySize: memorySize), 0x200_0000)
        XCTAssertNil(try address(size: 0x10_0001, memorySize: memorySize))
        XCTAssertNil(try address(size: 0xf_f001, kernelEnd: 0x200_0001, memorySize: memorySize))
        XCTAssertNil(try address(size: .max, memorySize: memorySize))
    }
}
