import CKVM

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

        init(_ entry: kvm_cpuid_entry2) {
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

    /// The greatest number of entries that KVM takes. Source: arch/x86/include/asm/kvm_host.h, KVM_MAX_CPUID_ENTRIES.
    static let greatestEntryCount = 256
}

extension CPUIDTable {
    /// Reads a table through an ioctl that fills a `kvm_cpuid2`.
    ///
    /// - Parameters:
    ///   - name: The ioctl's name, for the error.
    ///   - ioctl: The ioctl. Returns -errno when it fails.
    /// - Throws: ``KVMError`` when the ioctl fails.
    static func read(
        _ name: String,
        _ ioctl: (UnsafeMutablePointer<kvm_cpuid2>) -> Int32
    ) throws(KVMError) -> CPUIDTable {
        let buffer = KernelCPUIDBuffer(capacity: greatestEntryCount)
        let result = ioctl(buffer.table)
        guard result >= 0 else { throw .failed(name, result) }
        return CPUIDTable(entries: buffer.entries.map(Entry.init))
    }

    /// Lends the table in the form that KVM_SET_CPUID2 takes.
    func withKernelTable<Result>(_ body: (UnsafeMutablePointer<kvm_cpuid2>) -> Result) -> Result {
        let buffer = KernelCPUIDBuffer(capacity: entries.count)
        for (index, entry) in entries.enumerated() { buffer.set(index, entry.kernelEntry) }
        return withExtendedLifetime(buffer) { body(buffer.table) }
    }
}
