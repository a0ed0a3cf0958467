import CKVM

@testable import Counters
@testable import KVM
@testable import Memory
@testable import MiniVMM
@testable import TestSupport

/// A mode of the processor into which a test puts a vCPU, at ring 0, with linear addresses equal to physical ones.
enum ProcessorMode: CaseIterable {
    case real
    case protected32
    case long64

    /// Where the page tables of long mode stand: three pages.
    private static let tables: UInt64 = 0x20000

    /// Puts the machine's first vCPU into the mode. The rest of its state stays as it is.
    func enter(_ machine: Machine) throws {
        guard self != .real, let vcpu = machine.runners.first?.vcpu else { return }
        var special = try vcpu.specialRegisters()
        special.cr0 |= RegisterBits.cr0ProtectionEnable
        Self.flatten(&special, is64Bit: self == .long64)
        if self == .long64 {
            try Self.writeIdentityTables(machine.parts.memory)
            special.cr3 = Self.tables
            special.cr4 |= RegisterBits.cr4PhysicalAddressExtension
            special.cr0 |= RegisterBits.cr0Paging
            special.efer |= RegisterBits.eferLongModeEnable | RegisterBits.eferLongModeActive
        }
        try vcpu.setSpecialRegisters(special)
    }

    /// Flat segments from 0 to 4 GiB. Types: 11 is accessed, readable code; 3 is accessed, writable data.
    private static func flatten(_ special: inout SpecialRegisters, is64Bit: Bool) {
        var code = SegmentRegister()
        code.limit = 0xffff_ffff
        code.selector = 0x08
        code.type = 11
        code.present = 1
        code.s = 1
        code.g = 1
        code.db = is64Bit ? 0 : 1
        code.l = is64Bit ? 1 : 0
        var data = code
        data.selector = 0x10
        data.type = 3
        data.db = 1
        data.l = 0
        special.cs = code
        special.ds = data
        special.es = data
        special.fs = data
        special.gs = data
        special.ss = data
    }

    /// One table a level, and 1 GiB in pages of 2 MiB.
    private static func writeIdentityTables(_ memory: GuestMemory) throws {
        let presentWritable: UInt64 = 3
        let large: UInt64 = 1 << 7
        try memory.store((tables + 0x1000) | presentWritable, at: GuestPhysicalAddress(tables))
        try memory.store((tables + 0x2000) | presentWritable, at: GuestPhysicalAddress(tables + 0x1000))
        for index in 0..<UInt64(512) {
            let entry = index << 21 | large | presentWritable
            try memory.store(entry, at: GuestPhysicalAddress(tables + 0x2000 + index * 8))
        }
    }

    /// The guest that reads the total twice, for this mode.
    func twoReadings(_ leaves: CounterLeaves) -> [UInt8] {
        self == .real ? CounterGuests.twoReadings(leaves) : CounterGuests.twoReadings32(leaves)
    }
}
