/// The registers with which a Linux guest's first vCPU starts. Interrupts are off; what is not named here is 0.
public struct EntryState: Hashable, Sendable {
    /// How the processor runs.
    public enum Mode: Hashable, Sendable {
        /// 32-bit protected mode without paging.
        case protected
        /// 64-bit mode, with the 4-level page tables at ``EntryState/cr3``.
        case long
    }

    /// How the processor runs.
    public let mode: Mode
    /// RIP, a linear address.
    public let rip: UInt64
    /// RSP.
    public let rsp: UInt64
    /// RBX: PVH's pointer to `hvm_start_info`.
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
    /// Writes the tables that 64-bit mode needs where ``BootLayout`` has them, and returns the state in which code is
    /// entered.
    static func long(at address: GuestPhysicalAddress, memory: GuestMemory) throws(GuestMemoryError) -> EntryState {
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
