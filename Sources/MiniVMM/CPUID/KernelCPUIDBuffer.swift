import CKVM

/// A `kvm_cpuid2` with room for a number of entries behind its header.
final class KernelCPUIDBuffer {
    /// The header; its `nent` says how many entries follow.
    let table: UnsafeMutablePointer<kvm_cpuid2>
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        let size = MemoryLayout<kvm_cpuid2>.size + capacity * MemoryLayout<kvm_cpuid_entry2>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<kvm_cpuid2>.alignment)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        // Sound: the memory is aligned for the header, at least as long, and zero, which is a valid header.
        table = memory.bindMemory(to: kvm_cpuid2.self, capacity: 1)
        table.pointee.nent = UInt32(capacity)
    }

    deinit {
        UnsafeMutableRawPointer(table).deallocate()
    }

    /// Tells the kernel again how many entries there is room for, after an ioctl has left its own number there.
    func reset() {
        table.pointee.nent = UInt32(capacity)
    }

    /// The entries that the kernel says are there.
    ///
    /// Valid for as long as this object lives.
    var entries: UnsafeBufferPointer<kvm_cpuid_entry2> {
        // Sound: the entries follow the header, and the count is bounded by the room that was allocated.
        UnsafeBufferPointer(start: ckvm_cpuid_entries(table), count: min(Int(table.pointee.nent), capacity))
    }

    func set(_ index: Int, _ entry: kvm_cpuid_entry2) {
        precondition(index < capacity)
        // Sound: the index was just checked against the room that was allocated.
        ckvm_cpuid_entries(table)[index] = entry
    }
}
