public import Memory

/// The registers with which a guest's first vCPU starts. Interrupts are off; what is not named here is 0.
public struct EntryState: Hashable, Sendable {
    /// How the processor runs.
    public enum Mode: Hashable, Sendable {
        /// Real mode: of the segments the selectors alone count, and there is no descriptor table.
        case real
        /// 32-bit protected mode without paging.
        case protected
        /// 64-bit mode, with the 4-level page tables at ``EntryState/cr3``.
        case long
    }

    /// How the processor runs.
    public let mode: Mode
    /// RIP; in real mode an offset into CS, else a linear address.
    public let rip: UInt64
    /// RSP.
    public let rsp: UInt64
    /// RAX: Multiboot's magic number.
    public var rax: UInt64 = 0
    /// RCX: what a flat guest is given.
    public var rcx: UInt64 = 0
    /// RDX: in DL, the drive that a BIOS has booted from.
    public var rdx: UInt64 = 0
    /// RBX: PVH's pointer to `hvm_start_info`, or Multiboot's to its information.
    public var rbx: UInt64 = 0
    /// RSI: the boot protocol's pointer to `boot_params`.
    public var rsi: UInt64 = 0
    /// CR3; 0 without paging.
    public var cr3: UInt64 = 0
    /// CS.
    public let code: SegmentDescriptor
    /// DS, ES, FS, GS and SS.
    public let data: SegmentDescriptor
    /// TR.
    public let task: SegmentDescriptor
    /// The descriptor table.
    public let descriptorTable: DescriptorTable
}

extension EntryState {
    /// Real mode, with the data segments at 0.
    public static func real(at address: SegmentedAddress, stackPointer: UInt64) -> EntryState {
        EntryState(
            mode: .real,
            rip: UInt64(address.offset),
            rsp: stackPointer,
            code: .realMode(selector: address.segment),
            data: .realMode(selector: 0),
            task: .task(selector: 0),
            descriptorTable: DescriptorTable(base: GuestPhysicalAddress(0), limit: 0)
        )
    }

    /// Writes the descriptor table that 32-bit protected mode needs, and returns the state in which code is entered.
    ///
    /// - Parameters:
    ///   - address: Where the code is entered.
    ///   - stackEnd: The stack's end.
    ///   - table: Where the descriptor table goes.
    static func protected(
        at address: UInt64, stackEnd: GuestPhysicalAddress = BootLayout.stackEnd,
        descriptorTable table: GuestPhysicalAddress = BootLayout.descriptorTable, memory: GuestMemory
    ) throws(GuestMemoryError) -> EntryState {
        let code = SegmentDescriptor.flatCode(selector: DescriptorTable.codeSelector)
        let data = SegmentDescriptor.flatData(selector: DescriptorTable.dataSelector)
        let task = SegmentDescriptor.task(selector: DescriptorTable.taskSelector)
        return EntryState(
            mode: .protected, rip: address, rsp: stackEnd.rawValue, code: code, data: data, task: task,
            descriptorTable: try DescriptorTable.write(code: code, data: data, task: task, at: table, to: memory)
        )
    }

    /// Writes the tables that 64-bit mode needs where ``BootLayout`` has them, and returns the state in which code is
    /// entered.
    public static func long(at address: GuestPhysicalAddress, memory: GuestMemory) throws(GuestMemoryError)
        -> EntryState
    {
        let code = SegmentDescriptor.longCode(selector: DescriptorTable.codeSelector)
        let data = SegmentDescriptor.flatData(selector: DescriptorTable.dataSelector)
        let task = SegmentDescriptor.task(selector: DescriptorTable.taskSelector)
        return EntryState(
            mode: .long,
            rip: address.rawValue,
            rsp: BootLayout.stackEnd.rawValue,
            cr3: try IdentityPageTables.write(to: memory),
            code: code,
            data: data,
            task: task,
            descriptorTable: try DescriptorTable.write(code: code, data: data, task: task, to: memory)
        )
    }
}

/// The descriptor table that is loaded when a Linux kernel is entered.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol", which also fixes the selectors.
public struct DescriptorTable: Hashable, Sendable {
    /// Where the table is.
    public let base: GuestPhysicalAddress
    /// The offset of its last byte.
    public let limit: UInt16

    /// __BOOT_CS.
    package static let codeSelector: UInt16 = 0x10
    /// __BOOT_DS.
    static let dataSelector: UInt16 = 0x18
    /// Whatever comes next.
    package static let taskSelector: UInt16 = 0x20
    /// The bytes of the table.
    static let size: UInt64 = 48

    /// Writes the table for the given segments, which have the selectors above in this order.
    package static func write(
        code: SegmentDescriptor,
        data: SegmentDescriptor,
        task: SegmentDescriptor,
        at base: GuestPhysicalAddress = BootLayout.descriptorTable,
        to memory: GuestMemory
    ) throws(GuestMemoryError) -> DescriptorTable {
        // In 64-bit mode a task's entry has 16 bytes.
        let entries = [0, 0, code.tableEntry, data.tableEntry, task.tableEntry, 0]
        var bytes: [UInt8] = []
        for entry in entries { bytes.append(integer: entry) }
        try memory.write(bytes, at: base)
        return DescriptorTable(base: base, limit: UInt16(bytes.count - 1))
    }
}

/// A segment from linear address 0: the one source of its entry in the descriptor table and of what the vCPU's
/// register holds of it.
///
/// Source: Intel SDM, volume 3, "Segment Descriptors".
public struct SegmentDescriptor: Hashable, Sendable {
    /// The value of the segment register.
    public let selector: UInt16
    /// The maximum offset, in bytes.
    public let limit: UInt32
    /// The type: for code 11 (read, execute, accessed), for data 3 (read, write, accessed), for a task 11 (busy).
    public let type: UInt8
    /// Whether this is code or data, not a system segment such as a task.
    public let isCodeOrData: Bool
    /// Whether code in it is 64-bit.
    public let isLong: Bool
    /// Whether code in it is 32-bit, or a stack in it has 32-bit pointers.
    public let isBig: Bool

    private static let typeCode: UInt8 = 11
    private static let typeData: UInt8 = 3
    private static let typeBusyTask: UInt8 = 11
    private static let taskLimit: UInt32 = 0x67

    private init(_ selector: UInt16, type: UInt8, isCodeOrData: Bool = true, isLong: Bool = false) {
        self.selector = selector
        self.type = type
        self.isCodeOrData = isCodeOrData
        self.isLong = isLong
        limit = isCodeOrData ? .max : Self.taskLimit
        // 64-bit code must not be marked as 32-bit, and the mark says nothing of a task.
        isBig = isCodeOrData && !isLong
    }

    /// A segment of real mode, of which only the selector counts: its base is 16 times that.
    static func realMode(selector: UInt16) -> Self {
        Self(selector, type: typeData)
    }

    /// 64-bit code.
    static func longCode(selector: UInt16) -> Self {
        Self(selector, type: typeCode, isLong: true)
    }

    /// 32-bit code in all 4 GiB.
    static func flatCode(selector: UInt16) -> Self {
        Self(selector, type: typeCode)
    }

    /// Data in all 4 GiB.
    static func flatData(selector: UInt16) -> Self {
        Self(selector, type: typeData)
    }

    /// A task that holds nothing: the processor wants one, and nobody switches to it.
    package static func task(selector: UInt16) -> Self {
        Self(selector, type: typeBusyTask, isCodeOrData: false)
    }

    /// Whether the limit counts pages: it does where bytes would not do.
    package var isGranular: Bool { limit > 0xf_ffff }

    /// The segment's entry in a descriptor table. The base is 0, as is the second half of a task's entry.
    var tableEntry: UInt64 {
        let limitField = UInt64(isGranular ? limit >> 12 : limit)
        var entry = limitField & 0xffff
        entry |= UInt64(type) << 40
        entry |= (isCodeOrData ? 1 : 0) << 44
        entry |= 1 << 47  // present, at privilege level 0
        entry |= (limitField >> 16) << 48
        entry |= (isLong ? 1 : 0) << 53
        entry |= (isBig ? 1 : 0) << 54
        entry |= (isGranular ? 1 : 0) << 55
        return entry
    }
}

/// Page tables in which every linear address below 4 GiB is its own physical address, in pages of 2 MiB.
///
/// Source: Intel SDM, volume 3, "4-Level Paging".
enum IdentityPageTables {
    private static let present: UInt64 = 1 << 0
    private static let writable: UInt64 = 1 << 1
    private static let pageSize: UInt64 = 1 << 7
    private static let entriesPerTable = 512
    private static let largePageSize: UInt64 = 2 << 20
    /// One page directory for each GiB.
    private static let directoryCount = 4

    /// Writes the tables, and returns what goes into CR3.
    package static func write(to memory: GuestMemory) throws(GuestMemoryError) -> UInt64 {
        // Sound: the bytes of the numbers are copied while these live, and a guest's order of bytes is the host's.
        try memory.write(unsafe entries.withUnsafeBytes { unsafe [UInt8]($0) }, at: BootLayout.pageTables)
        return BootLayout.pageTables.rawValue
    }

    /// The pages one after the other: the top level, the one below it, and the page directories.
    private static var entries: [UInt64] {
        let top = BootLayout.pageTables.rawValue
        let pointers = top + GuestMemory.pageSize
        let directories = pointers + GuestMemory.pageSize
        var entries = [UInt64](repeating: 0, count: (2 + directoryCount) * entriesPerTable)
        entries[0] = pointers | present | writable
        for directory in 0..<directoryCount {
            let address = directories + UInt64(directory) * GuestMemory.pageSize
            entries[entriesPerTable + directory] = address | present | writable
        }
        for page in 0..<directoryCount * entriesPerTable {
            entries[2 * entriesPerTable + page] = UInt64(page) * largePageSize | present | writable | pageSize
        }
        return entries
    }
}
