import XCTest

@testable import Debugger
@testable import KVM
@testable import Memory
@testable import MiniVMM

/// By what means breakpoints and watchpoints stop the guest.
final class PointTableTests: XCTestCase {
    private let all = DebugSupport(breakpoints: true, watchpoints: true, softwareBreakpoints: false, steps: true)

    private func memory() throws -> GuestMemory {
        try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: GuestMemory.pageSize)])
    }

    private func set(
        _ kind: PointTable.Kind, _ address: UInt64, _ length: UInt64 = 1, in table: inout PointTable,
        _ memory: GuestMemory
    ) -> PointTable.Outcome {
        table.set(
            PointTable.Point(kind: kind, address: address, length: length),
            physical: GuestPhysicalAddress(address), in: memory)
    }

    func testFourRegistersAndThenSteps() throws {
        let memory = try memory()
        var table = PointTable(support: all)
        for address in 1...6 as ClosedRange<UInt64> {
            XCTAssertEqual(set(.software, address, in: &table, memory), .set)
        }
        let points = table.arm(in: memory)
        XCTAssertEqual(points.registers, (1...4).map { DebugPoint(.execute, at: $0) })
        XCTAssertEqual(points.steppedBreakpoints, [5, 6])
    }

    func testTheSameOneTwiceTakesOneRegister() throws {
        let memory = try memory()
        var table = PointTable(support: all)
        for _ in 0..<5 { XCTAssertEqual(set(.hardware, 0x100, in: &table, memory), .set) }
        XCTAssertEqual(table.arm(in: memory).registers, [DebugPoint(.execute, at: 0x100)])
        table.remove(PointTable.Point(kind: .hardware, address: 0x100, length: 1))
        XCTAssertEqual(table.arm(in: memory), DebugControl.Points())
    }

    /// A register watches 1, 2, 4 or 8 bytes at a multiple of that.
    func testAWatchpointIsCutIntoAlignedPieces() throws {
        let memory = try memory()
        var table = PointTable(support: all)
        XCTAssertEqual(set(.write, 0x101, 7, in: &table, memory), .set)
        XCTAssertEqual(
            table.arm(in: memory).registers,
            [
                DebugPoint(.write, at: 0x101), DebugPoint(.write, at: 0x102, length: 2),
                DebugPoint(.write, at: 0x104, length: 4),
            ])
        XCTAssertEqual(
            table.watch(DebugPoint(.write, at: 0x104, length: 4)),
            PointTable.Point(kind: .write, address: 0x101, length: 7))
        // Two more pieces, and one register: by steps.
        XCTAssertEqual(set(.write, 0x203, 2, in: &table, memory), .set)
        XCTAssertEqual(table.arm(in: memory).steppedWatches, [DebugPoint(.write, at: 0x203, length: 2)])
        // A step does not tell what was read.
        XCTAssertEqual(set(.access, 0x303, 2, in: &table, memory), .refused)
        XCTAssertEqual(set(.read, 0x304, 4, in: &table, memory), .set)
        XCTAssertEqual(set(.read, 0x404, 4, in: &table, memory), .refused)
        XCTAssertEqual(set(.write, 0x500, 0, in: &table, memory), .refused)
        XCTAssertEqual(set(.write, .max, .max, in: &table, memory), .refused)
        XCTAssertEqual(set(.write, .max - 1, 4096, in: &table, memory), .set)
    }

    func testWithoutRegistersThereAreSteps() throws {
        let memory = try memory()
        var table = PointTable(
            support: DebugSupport(breakpoints: false, watchpoints: false, softwareBreakpoints: false, steps: true))
        XCTAssertEqual(set(.hardware, 0x100, in: &table, memory), .set)
        XCTAssertEqual(set(.write, 0x200, 4, in: &table, memory), .set)
        XCTAssertEqual(set(.access, 0x200, 4, in: &table, memory), .unknown)
        let points = table.arm(in: memory)
        XCTAssertEqual(points.steppedBreakpoints, [0x100])
        XCTAssertEqual(points.steppedWatches, [DebugPoint(.write, at: 0x200, length: 4)])
        XCTAssertEqual(points.registers, [])
    }

    func testWithoutAnythingThereIsNothing() throws {
        let memory = try memory()
        var table = PointTable(
            support: DebugSupport(breakpoints: false, watchpoints: false, softwareBreakpoints: false, steps: false))
        for kind in [PointTable.Kind.software, .hardware, .write, .read, .access] {
            XCTAssertEqual(set(kind, 0x100, in: &table, memory), .unknown)
        }
    }

    /// INT3 is in the guest's memory while the guest runs, and at no other time.
    func testSoftwareBreakpoints() throws {
        let memory = try memory()
        var table = PointTable(
            support: DebugSupport(breakpoints: true, watchpoints: true, softwareBreakpoints: true, steps: true))
        try memory.write([0x90, 0x91, 0x92], at: GuestPhysicalAddress(0x100))
        XCTAssertEqual(set(.software, 0x100, in: &table, memory), .set)
        XCTAssertEqual(set(.software, 0x101, in: &table, memory), .set)
        // There is no memory.
        XCTAssertEqual(set(.software, 0x5000, in: &table, memory), .refused)
        XCTAssertEqual(set(.hardware, 0x102, in: &table, memory), .set)
        let points = table.arm(in: memory)
        XCTAssertEqual(points.softwareBreakpoints, [0x100, 0x101])
        XCTAssertEqual(points.registers, [DebugPoint(.execute, at: 0x102)])
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100), count: 3), [0xcc, 0xcc, 0x92])
        // The guest has written over one.
        try memory.write([0x11], at: GuestPhysicalAddress(0x101))
        table.disarm(in: memory)
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100), count: 3), [0x90, 0x11, 0x92])
        table.removeAll()
        XCTAssertEqual(table.arm(in: memory), DebugControl.Points())
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100), count: 3), [0x90, 0x11, 0x92])
    }

    /// An OUT of two bytes, where there is nothing better: not over another, not across pages, and not in programs.
    func testPatches() throws {
        let memory = try memory()
        var table = PointTable(
            support: DebugSupport(breakpoints: false, watchpoints: false, patches: true, steps: true))
        try memory.write([1, 2, 3, 4, 5, 6], at: GuestPhysicalAddress(0x100))
        XCTAssertEqual(set(.software, 0x100, in: &table, memory), .set)
        XCTAssertEqual(set(.software, 0x101, in: &table, memory), .set)
        XCTAssertEqual(set(.software, 0x104, in: &table, memory), .set)
        XCTAssertEqual(set(.software, 0xfff, in: &table, memory), .set)
        XCTAssertEqual(set(.hardware, 0x200, in: &table, memory), .set)
        let program = PointTable.Point(kind: .software, address: 0x300, length: 1)
        let address = GuestPhysicalAddress(0x300)
        XCTAssertEqual(table.set(program, physical: address, isKernel: false, in: memory), .set)
        var points = table.arm(in: memory)
        XCTAssertEqual(points.patches, [0x100, 0x104])
        XCTAssertEqual(points.steppedBreakpoints, [0x101, 0xfff, 0x200, 0x300])
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100), count: 6), [0xe6, 0xbf, 3, 4, 0xe6, 0xbf])
        table.disarm(in: memory)
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100), count: 6), [1, 2, 3, 4, 5, 6])
        // What a vCPU executes next is left alone.
        points = table.arm(in: memory, sparing: [0x105, 0x200])
        XCTAssertEqual(points.patches, [0x100])
        XCTAssertTrue(points.steppedBreakpoints.contains(0x104))
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100), count: 6), [0xe6, 0xbf, 3, 4, 5, 6])
        table.disarm(in: memory)
    }

    func testThereIsAnEndToThem() throws {
        let memory = try memory()
        var table = PointTable(support: all)
        for address in 0..<1024 as Range<UInt64> {
            XCTAssertEqual(set(.software, address, in: &table, memory), .set)
        }
        XCTAssertEqual(set(.software, 1024, in: &table, memory), .refused)
    }
}
