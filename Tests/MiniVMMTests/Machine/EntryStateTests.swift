@testable import Boot
import CKVM
@testable import KVM
@testable import Memory
@testable import MiniVMM
@testable import TestSupport
import XCTest

final class EntryStateTests: XCTestCase {
    private func loaded(_ file: ImageFile, _ memory: GuestMemory) throws -> EntryState {
        try GuestLoaders.guest(file).load(into: memory, on: GuestPlatform()).entry
    }

    func testLongModeEntry() throws {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: 64 << 20))
        let state = try loaded(SampleBzImage().file, memory)
        var registers = SpecialRegisters()
        // As KVM has it after reset: ET, and the caches off.
        registers.cr0 = 0x6000_0010
        registers.cr4 = 0x200
        state.apply(to: &registers)
        XCTAssertEqual(registers.cr0, 0x8000_0011)
        XCTAssertEqual(registers.cr4, 0x20)
        XCTAssertEqual(registers.efer, 0x500)
        XCTAssertEqual([registers.cs.selector, registers.ds.selector, registers.ss.selector], [0x10, 0x18, 0x18])
        XCTAssertEqual([registers.cs.l, registers.cs.db, registers.cs.g, registers.cs.type], [1, 0, 1, 11])
        XCTAssertEqual([registers.tr.s, registers.tr.type, registers.tr.present], [0, 11, 1])
        XCTAssertEqual(state.generalRegisters.rip, 0x100_0200)
        XCTAssertEqual(state.generalRegisters.rsi, 0x7000)
        XCTAssertEqual(state.generalRegisters.rflags, 2)

        let table = try memory.bytes(at: GuestPhysicalAddress(registers.gdt.base), count: Int(registers.gdt.limit) + 1)
        XCTAssertEqual(table.integer(UInt64.self, at: 0x10), 0x00af_9b00_0000_ffff)
        XCTAssertEqual(table.integer(UInt64.self, at: 0x18), 0x00cf_9300_0000_ffff)
        XCTAssertEqual(table.integer(UInt64.self, at: 0x20), 0x0000_8b00_0000_0067)
        XCTAssertEqual(table.count, 0x30)
    }

    func testPageTablesMap4GiBToThemselves() throws {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: 64 << 20))
        let state = try loaded(SampleBzImage().file, memory)
        let walk = PageWalk(mode: .fourLevel, cr3: state.cr3)
        for address: UInt64 in [0, 0x7123, 0x1f_ffff, 0x20_0000, 0x1234_5678, 0xc000_0000, 0xffff_ffff] {
            XCTAssertEqual(walk.translate(address, in: memory), GuestPhysicalAddress(address))
        }
        XCTAssertNil(walk.translate(0x1_0000_0000, in: memory))
    }

    func testPVHEntry() throws {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: 64 << 20))
        let state = try loaded(SampleELF().file, memory)
        var registers = SpecialRegisters()
        registers.cr0 = 0x6000_0010
        registers.cr4 = 0x200
        state.apply(to: &registers)
        XCTAssertEqual(registers.cr0, 0x11)
        XCTAssertEqual(registers.cr4, 0)
        XCTAssertEqual(registers.efer, 0)
        XCTAssertEqual([registers.cs.l, registers.cs.db, registers.cs.g, registers.cs.type], [0, 1, 1, 11])
        XCTAssertEqual([registers.cs.limit, registers.ds.limit, registers.tr.limit], [.max, .max, 0x67])
        XCTAssertEqual([registers.tr.s, registers.tr.type], [0, 11])
        XCTAssertEqual(state.generalRegisters.rbx, 0x6000)
        let code = try memory.load(UInt64.self, at: BootLayout.descriptorTable &+ 0x10)
        XCTAssertEqual(code, 0x00cf_9b00_0000_ffff)
    }
}
