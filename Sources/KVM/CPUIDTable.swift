package import CKVM

/// What CPUID leaves in the registers.
public struct CPUIDResult: Hashable, Sendable {
    /// EAX.
    public var eax: UInt32
    /// EBX.
    public var ebx: UInt32
    /// ECX.
    public var ecx: UInt32
    /// EDX.
    public var edx: UInt32

    /// The given registers; those not given are 0.
    public init(eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0) {
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }
}

/// A CPUID table as KVM keeps it: one entry per leaf, or per leaf and subleaf.
public struct CPUIDTable: Hashable, Sendable {
    /// An entry of the table.
    public struct Entry: Hashable, Sendable {
        /// EAX on input.
        public var leaf: UInt32
        /// ECX on input; means something only where ``isIndexed``.
        public var subleaf: UInt32
        /// Whether the entry answers for its subleaf only (KVM_CPUID_FLAG_SIGNIFCANT_INDEX).
        public var isIndexed: Bool
        /// The answer.
        public var result: CPUIDResult

        /// An entry for a leaf, or for one subleaf of it.
        public init(leaf: UInt32, subleaf: UInt32? = nil, result: CPUIDResult) {
            self.leaf = leaf
            self.subleaf = subleaf ?? 0
            isIndexed = subleaf != nil
            self.result = result
        }

        static let indexedFlag = UInt32(KVM_CPUID_FLAG_SIGNIFCANT_INDEX)

        package init(_ entry: kvm_cpuid_entry2) {
            leaf = entry.function
            subleaf = entry.index
            isIndexed = entry.flags & Self.indexedFlag != 0
            result = CPUIDResult(eax: entry.eax, ebx: entry.ebx, ecx: entry.ecx, edx: entry.edx)
        }

        var kernelEntry: kvm_cpuid_entry2 {
            kvm_cpuid_entry2(
                function: leaf,
                index: subleaf,
                flags: isIndexed ? Self.indexedFlag : 0,
                eax: result.eax,
                ebx: result.ebx,
                ecx: result.ecx,
                edx: result.edx,
                padding: (0, 0, 0)
            )
        }
    }

    /// The entries, in KVM's order.
    public var entries: [Entry]

    /// A table of the given entries.
    public init(entries: [Entry] = []) {
        self.entries = entries
    }

    /// The maximum number of entries that KVM takes. Source: arch/x86/include/asm/kvm_host.h, KVM_MAX_CPUID_ENTRIES.
    package static let maximumEntryCount = 256
}

extension CPUIDTable {
    /// Reads a table through an ioctl that fills a `kvm_cpuid2`.
    ///
    /// - Parameters:
    ///   - name: The ioctl's name, for the error.
    ///   - ioctl: The ioctl. Returns -errno when it fails.
    /// - Throws: ``KVMError`` when the ioctl fails.
    package static func read(
        _ name: String,
        _ ioctl: (UnsafeMutablePointer<kvm_cpuid2>) -> Int32
    ) throws(KVMError) -> CPUIDTable {
        let buffer = KernelCPUIDBuffer(capacity: maximumEntryCount)
        let result = unsafe ioctl(buffer.table)
        guard result >= 0 else { throw .failed(name, result) }
        return unsafe CPUIDTable(entries: buffer.entries.map(Entry.init))
    }

    /// Lends the table in the form that KVM_SET_CPUID2 takes.
    func withKernelTable<Result>(_ body: (UnsafeMutablePointer<kvm_cpuid2>) -> Result) -> Result {
        let buffer = KernelCPUIDBuffer(capacity: entries.count)
        for (index, entry) in entries.enumerated() { buffer.set(index, entry.kernelEntry) }
        return withExtendedLifetime(buffer) { unsafe body(buffer.table) }
    }
}

/// A `kvm_cpuid2` with room for a number of entries behind its header.
// Safe to use: the memory is allocated with the buffer, and every index is compared with its room.
@safe
package final class KernelCPUIDBuffer {
    /// The header; its `nent` says how many entries follow.
    package let table: UnsafeMutablePointer<kvm_cpuid2>
    private let capacity: Int

    package init(capacity: Int) {
        self.capacity = capacity
        let size = MemoryLayout<kvm_cpuid2>.size + capacity * MemoryLayout<kvm_cpuid_entry2>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<kvm_cpuid2>.alignment)
        // All of it: the KVM_GET_CPUID2 of Linux 6.1 does not say how many entries it wrote, and the others must be none.
        // Source: arch/x86/kvm/cpuid.c, kvm_vcpu_ioctl_get_cpuid2().
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        // Sound: the memory is aligned for the header, at least as long, and zero, which is a valid header.
        unsafe table = unsafe memory.bindMemory(to: kvm_cpuid2.self, capacity: 1)
        unsafe table.pointee.nent = UInt32(capacity)
    }

    deinit {
        unsafe UnsafeMutableRawPointer(table).deallocate()
    }

    /// Tells the kernel again how many entries there is room for, after an ioctl has left its own number there.
    package func reset() {
        unsafe table.pointee.nent = UInt32(capacity)
    }

    /// The entries that the kernel says are there.
    ///
    /// Valid for as long as this object lives.
    package var entries: UnsafeBufferPointer<kvm_cpuid_entry2> {
        // Sound: the entries follow the header, and the count is bounded by the room that was allocated.
        unsafe UnsafeBufferPointer(start: ckvm_cpuid_entries(table), count: min(Int(table.pointee.nent), capacity))
    }

    package func set(_ index: Int, _ entry: kvm_cpuid_entry2) {
        precondition(index < capacity)
        // Sound: the index was just checked against the room that was allocated.
        unsafe ckvm_cpuid_entries(table)[index] = entry
    }
}
