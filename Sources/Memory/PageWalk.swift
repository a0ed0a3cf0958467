/// A walk through the guest's page tables: what a linear address means to the guest, without asking KVM.
///
/// It knows no paging, 32-bit, PAE, 4-level and 5-level paging with 4 KiB, 2 MiB, 4 MiB and 1 GiB pages. It follows
/// presence and size, and where it is asked for code the bit that forbids it: other rights, reserved bits and accessed
/// bits are the processor's business. An address that is not
/// canonical has nothing behind it: the processor raises #GP before any walk.
///
/// Source: Intel SDM, volume 3, chapter "Paging".
public struct PageWalk: Hashable, Sendable {
    /// How linear addresses are translated.
    public enum Mode: Hashable, Sendable {
        /// CR0.PG = 0: linear addresses are physical.
        case none
        /// 32-bit paging; 4 MiB pages only with CR4.PSE.
        case legacy(pageSizeExtensions: Bool)
        /// PAE paging.
        case pae
        /// 4-level paging.
        case fourLevel
        /// 5-level paging.
        case fiveLevel
    }

    /// How linear addresses are translated.
    public let mode: Mode
    /// CR3.
    public let cr3: UInt64

    /// A walk in the given mode from the given CR3.
    public init(mode: Mode, cr3: UInt64) {
        self.mode = mode
        self.cr3 = cr3
    }

    /// A walk as the control registers ask for it.
    public init(cr0: UInt64, cr3: UInt64, cr4: UInt64, efer: UInt64) {
        self.cr3 = cr3
        if cr0 & RegisterBits.cr0Paging == 0 {
            mode = .none
        } else if efer & RegisterBits.eferLongModeActive != 0 {
            mode = cr4 & RegisterBits.cr4LinearAddress57 != 0 ? .fiveLevel : .fourLevel
        } else if cr4 & RegisterBits.cr4PhysicalAddressExtension != 0 {
            mode = .pae
        } else {
            mode = .legacy(pageSizeExtensions: cr4 & RegisterBits.cr4PageSizeExtensions != 0)
        }
    }

    /// The physical address behind a linear one, or nil where the tables have none or lie outside memory.
    public func translate(_ linear: UInt64, in memory: GuestMemory) -> GuestPhysicalAddress? {
        translate(linear, forbidden: 0, in: memory)
    }

    /// The same for code in long mode: nil as well where the tables forbid its execution.
    package func translateCode(_ linear: UInt64, in memory: GuestMemory) -> GuestPhysicalAddress? {
        guard mode == .fourLevel || mode == .fiveLevel else { return nil }
        return translate(linear, forbidden: Entry.noExecution, in: memory)
    }

    /// - Parameter forbidden: The bits that no entry may have, where entries have eight bytes.
    private func translate(_ linear: UInt64, forbidden: UInt64, in memory: GuestMemory) -> GuestPhysicalAddress? {
        switch mode {
        case .none:
            // Without paging there are no 64-bit modes: addresses have 32 bits.
            return GuestPhysicalAddress(linear & 0xffff_ffff)
        case .legacy(let pageSizeExtensions):
            return translateLegacy(UInt32(truncatingIfNeeded: linear), pageSizeExtensions, in: memory)
        case .pae:
            // CR3 bits 31:5 hold the page-directory-pointer table of four entries; linear addresses have 32 bits.
            let table = cr3 & 0xffff_ffe0
            return descend(
                linear & 0xffff_ffff, table: table, topShift: 30, topMask: 0x3, forbidden: forbidden, in: memory)
        case .fourLevel:
            guard Self.isCanonical(linear, bits: 48) else { return nil }
            let table = cr3 & Entry.addressMask
            return descend(linear, table: table, topShift: 39, topMask: 0x1ff, forbidden: forbidden, in: memory)
        case .fiveLevel:
            guard Self.isCanonical(linear, bits: 57) else { return nil }
            let table = cr3 & Entry.addressMask
            return descend(linear, table: table, topShift: 48, topMask: 0x1ff, forbidden: forbidden, in: memory)
        }
    }

    /// Whether all bits from the highest that is translated on are the same. Source: Intel SDM, volume 1, "Canonical
    /// addressing".
    private static func isCanonical(_ linear: UInt64, bits: Int64) -> Bool {
        let unused = 64 - bits
        return (Int64(bitPattern: linear) << unused) >> unused == Int64(bitPattern: linear)
    }

    /// Reads bytes at a linear address, page by page, as far as they are mapped and in memory.
    public func bytes(at linear: UInt64, count: Int, in memory: GuestMemory) -> [UInt8] {
        var result: [UInt8] = []
        for offset in 0..<UInt64(max(0, count)) {
            guard let address = translate(linear &+ offset, in: memory),
                let byte = try? memory.load(UInt8.self, at: address)
            else { break }
            result.append(byte)
        }
        return result
    }

    /// The walk of the modes whose entries have eight bytes: PAE, 4-level, 5-level.
    private func descend(
        _ linear: UInt64,
        table: UInt64,
        topShift: UInt64,
        topMask: UInt64,
        forbidden: UInt64,
        in memory: GuestMemory
    ) -> GuestPhysicalAddress? {
        var table = table
        var shift = topShift
        var mask = topMask
        while true {
            let index = (linear >> shift) & mask
            guard
                let entry = try? memory.load(UInt64.self, at: GuestPhysicalAddress(table &+ index * 8)),
                entry & Entry.present != 0, entry & forbidden == 0
            else { return nil }
            let isLeaf = shift == Entry.pageShift
            // Bit 7 says "a page ends here" at the levels of 1 GiB and 2 MiB; PAE has no pages of 1 GiB.
            let isLargePage =
                entry & Entry.pageSize != 0 && (shift == 21 || (shift == 30 && mode != .pae))
            if isLeaf || isLargePage {
                let offsetMask = (UInt64(1) << shift) &- 1
                return GuestPhysicalAddress((entry & Entry.addressMask & ~offsetMask) | (linear & offsetMask))
            }
            table = entry & Entry.addressMask
            shift &-= 9
            mask = 0x1ff
        }
    }

    /// The walk of 32-bit paging, whose entries have four bytes.
    private func translateLegacy(
        _ linear: UInt32,
        _ pageSizeExtensions: Bool,
        in memory: GuestMemory
    ) -> GuestPhysicalAddress? {
        let directory = cr3 & 0xffff_f000
        let directoryIndex = UInt64(linear >> 22)
        guard
            let entry = try? memory.load(UInt32.self, at: GuestPhysicalAddress(directory + directoryIndex * 4)),
            UInt64(entry) & Entry.present != 0
        else { return nil }
        if pageSizeExtensions, UInt64(entry) & Entry.pageSize != 0 {
            // A 4 MiB page: bits 31:22 from bits 31:22, and bits 39:32 from bits 20:13 (PSE-36).
            let high = UInt64(entry >> 13 & 0xff) << 32
            return GuestPhysicalAddress(high | UInt64(entry & 0xffc0_0000) | UInt64(linear & 0x003f_ffff))
        }
        let table = UInt64(entry & 0xffff_f000)
        let tableIndex = UInt64(linear >> 12 & 0x3ff)
        guard
            let page = try? memory.load(UInt32.self, at: GuestPhysicalAddress(table + tableIndex * 4)),
            UInt64(page) & Entry.present != 0
        else { return nil }
        return GuestPhysicalAddress(UInt64(page & 0xffff_f000) | UInt64(linear & 0xfff))
    }

    /// The bits of a paging-structure entry.
    private enum Entry {
        static let present: UInt64 = 1 << 0
        static let pageSize: UInt64 = 1 << 7
        /// XD: no code is fetched from there.
        static let noExecution: UInt64 = 1 << 63
        /// Bits 51:12.
        static let addressMask: UInt64 = 0x000f_ffff_ffff_f000
        static let pageShift: UInt64 = 12
    }
}

/// The bits of control registers, EFER and RFLAGS that MiniVMM looks at or sets.
///
/// Source: Intel SDM, volume 3, "Control registers" and "IA32_EFER"; volume 1, "EFLAGS register".
@usableFromInline package enum RegisterBits {
    /// CR0.PE: protected mode.
    @inlinable package static var cr0ProtectionEnable: UInt64 { 1 << 0 }
    /// CR0.PG: paging.
    @inlinable package static var cr0Paging: UInt64 { 1 << 31 }
    /// CR4.PSE: 4 MiB pages in 32-bit paging.
    static let cr4PageSizeExtensions: UInt64 = 1 << 4
    /// CR4.PAE.
    @inlinable package static var cr4PhysicalAddressExtension: UInt64 { 1 << 5 }
    /// CR4.LA57: 5-level paging.
    static let cr4LinearAddress57: UInt64 = 1 << 12
    /// CR4.VMXE: VMX is on.
    @inlinable package static var cr4VirtualMachineExtensions: UInt64 { 1 << 13 }
    /// IA32_EFER.SVME: SVM is on. Source: AMD APM, volume 2, "Extended Feature Enable Register".
    @inlinable package static var eferSecureVirtualMachineEnable: UInt64 { 1 << 12 }
    /// IA32_EFER.LME: long mode enabled.
    @inlinable package static var eferLongModeEnable: UInt64 { 1 << 8 }
    /// IA32_EFER.LMA: long mode active.
    @inlinable package static var eferLongModeActive: UInt64 { 1 << 10 }
    /// RFLAGS bit 1, which is always one.
    @inlinable package static var rflagsReserved: UInt64 { 1 << 1 }
    /// RFLAGS.TF: a #DB after every instruction.
    @inlinable package static var rflagsTrap: UInt64 { 1 << 8 }
    /// RFLAGS.IF.
    @inlinable package static var rflagsInterruptEnable: UInt64 { 1 << 9 }
    /// RFLAGS.RF: no breakpoint on the next instruction.
    @inlinable package static var rflagsResume: UInt64 { 1 << 16 }
    /// RFLAGS.VM: virtual-8086 mode.
    @inlinable package static var rflagsVirtual8086: UInt64 { 1 << 17 }
}
