import CKVM

extension FlatGuest {
    /// The memory of a flat guest, as a PC has it: 640 KiB, a hole, the BIOS's 64 KiB, and the rest from 1 MiB up.
    private enum Layout {
        static let conventionalEnd = BootLayout.baseMemoryEnd.rawValue
        static let extendedStart = BootLayout.extendedMemory.rawValue
        static let greatestSize = BootLayout.lowMemoryLimit.rawValue
        static let lowestLoadAddress = BootLayout.biosDataEnd.rawValue
    }

    /// Makes the guest's memory, with the interrupt stubs and the image in it.
    ///
    /// - Throws: ``FlatGuestError`` or ``GuestMemoryError``.
    func makeMemory() throws -> GuestMemory {
        try check()
        var layout = [
            (start: GuestPhysicalAddress(0), size: Layout.conventionalEnd),
            (start: BootLayout.firmware, size: BootLayout.firmwareSize),
        ]
        if memorySize > Layout.extendedStart {
            layout.append((start: GuestPhysicalAddress(Layout.extendedStart), size: memorySize - Layout.extendedStart))
        }
        let memory = try GuestMemory(layout: layout)
        try FirmwareStubs.write(to: memory)
        try memory.write(image, at: GuestPhysicalAddress(loadAddress))
        return memory
    }

    private func check() throws(FlatGuestError) {
        guard !image.isEmpty else { throw .emptyImage }
        guard memorySize >= Layout.extendedStart, memorySize <= Layout.greatestSize,
            memorySize % GuestMemory.pageSize == 0
        else { throw .badMemorySize(memorySize) }
        let room: UInt64
        switch loadAddress {
        case Layout.lowestLoadAddress..<Layout.conventionalEnd: room = Layout.conventionalEnd - loadAddress
        case Layout.extendedStart..<max(memorySize, Layout.extendedStart + 1): room = memorySize &- loadAddress
        default: throw .badLoadAddress(loadAddress)
        }
        guard UInt64(image.count) <= room, loadAddress < memorySize else {
            throw .doesNotFit(imageSize: image.count, address: loadAddress, room: room)
        }
        _ = try effectiveEntry()
    }

    /// Where the guest is entered: as asked, or where the image is loaded, with segment 0 as long as that reaches.
    private func effectiveEntry() throws(FlatGuestError) -> SegmentedAddress {
        if let entry { return entry }
        if let offset = UInt16(exactly: loadAddress) { return SegmentedAddress(segment: 0, offset: offset) }
        guard let segment = UInt16(exactly: loadAddress >> 4) else { throw .entryNeeded(loadAddress: loadAddress) }
        return SegmentedAddress(segment: segment, offset: UInt16(loadAddress & 0xf))
    }

    /// Puts a vCPU in front of the guest: real mode, interrupts off, DS = ES = SS = 0, SP = 0x7C00.
    ///
    /// - Throws: ``KVMError`` or ``FlatGuestError``.
    func start(_ vcpu: VCPU) throws {
        let entry = try effectiveEntry()
        // KVM's reset values, of which only what differs is changed.
        var special = try vcpu.specialRegisters()
        special.cs.selector = entry.segment
        special.cs.base = UInt64(entry.segment) << 4
        for segment in [\kvm_sregs.ds, \.es, \.fs, \.gs, \.ss] {
            special[keyPath: segment].selector = 0
            special[keyPath: segment].base = 0
        }
        try vcpu.setSpecialRegisters(special)
        var registers = kvm_regs()
        registers.rip = UInt64(entry.offset)
        registers.rflags = ControlRegister.rflagsReserved
        registers.rsp = Self.defaultLoadAddress
        registers.rcx = UInt64(argument)
        registers.rdx = Self.bootDrive
        try vcpu.setRegisters(registers)
    }

    /// What a PC's BIOS leaves in DL: the first hard disk.
    private static let bootDrive: UInt64 = 0x80
}
