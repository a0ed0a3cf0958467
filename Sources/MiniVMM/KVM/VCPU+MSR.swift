import CKVM

extension VCPU {
    /// Sets a model-specific register (KVM_SET_MSRS).
    ///
    /// - Returns: Whether KVM took the value. It refuses registers and bits that it does not have.
    /// - Throws: ``KVMError`` when the ioctl fails as such.
    func setMSR(_ index: UInt32, _ value: UInt64) throws(KVMError) -> Bool {
        // One entry behind its header, as KVM_SET_MSRS takes them.
        let size = MemoryLayout<kvm_msrs>.size + MemoryLayout<kvm_msr_entry>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<kvm_msrs>.alignment)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        // Sound: the memory is aligned and long enough for the header and one entry, and zero is valid for both.
        let table = memory.bindMemory(to: kvm_msrs.self, capacity: 1)
        table.pointee.nmsrs = 1
        ckvm_msr_entries(table).pointee.index = index
        ckvm_msr_entries(table).pointee.data = value
        let result = ckvm_set_msrs(descriptor.number, table)
        guard result >= 0 else { throw .failed("KVM_SET_MSRS", result) }
        // The ioctl returns how many entries it took.
        return result == 1
    }
}
