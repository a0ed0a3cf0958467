import CKVM

/// KVM's rules for answering CPUID out of a table, whoever keeps the table.
///
/// Source: arch/x86/kvm/cpuid.c, kvm_cpuid() and get_out_of_range_cpuid_entry(); Intel SDM, volume 2, CPUID.
protocol CPUIDLookup {
    /// What the table holds for a leaf and subleaf, if it has an entry.
    func storedResult(leaf: UInt32, subleaf: UInt32) -> CPUIDResult?
}

extension CPUIDLookup {
    /// What CPUID answers for a leaf and subleaf.
    ///
    /// Leaves out of the range of their class answer as the highest basic leaf does on Intel processors, and with
    /// zeros on AMD's.
    func lookUp(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
        if let result = storedResult(leaf: leaf, subleaf: subleaf) { return result }
        var effectiveLeaf = leaf
        if let substitute = substituteLeaf(for: leaf) {
            effectiveLeaf = substitute
            if let result = storedResult(leaf: substitute, subleaf: subleaf) { return result }
        }
        return topologyOfUndefinedSubleaf(leaf: effectiveLeaf, subleaf: subleaf) ?? CPUIDResult()
    }

    /// The leaf that answers for one out of range, or nil when the leaf is in range or the vendor answers zeros.
    private func substituteLeaf(for leaf: UInt32) -> UInt32? {
        guard let basic = storedResult(leaf: 0, subleaf: 0), !CPUIDVendor.isAMDCompatible(basic) else { return nil }
        let classLeaf: UInt32 =
            switch leaf {
            case 0x4000_0000...0x4fff_ffff: leaf & 0xffff_ff00
            case 0xc000_0000...: 0xc000_0000
            default: leaf & 0x8000_0000
            }
        if let greatest = storedResult(leaf: classLeaf, subleaf: 0)?.eax, leaf <= greatest { return nil }
        return basic.eax
    }

    /// The topology leaves pass ECX's low byte through and give the x2APIC id in EDX for every subleaf.
    private func topologyOfUndefinedSubleaf(leaf: UInt32, subleaf: UInt32) -> CPUIDResult? {
        guard leaf == CPUIDLeaf.extendedTopology || leaf == CPUIDLeaf.extendedTopologyV2,
            let first = storedResult(leaf: leaf, subleaf: 1)
        else { return nil }
        return CPUIDResult(ecx: subleaf & 0xff, edx: first.edx)
    }
}

extension CPUIDTable: CPUIDLookup {
    func storedResult(leaf: UInt32, subleaf: UInt32) -> CPUIDResult? {
        entry(leaf: leaf, subleaf: subleaf)?.result
    }

    /// The entry for a leaf and subleaf, if the table has one.
    public func entry(leaf: UInt32, subleaf: UInt32 = 0) -> Entry? {
        entries.first { $0.leaf == leaf && (!$0.isIndexed || $0.subleaf == subleaf) }
    }
}

extension KernelCPUIDBuffer: CPUIDLookup {
    func storedResult(leaf: UInt32, subleaf: UInt32) -> CPUIDResult? {
        for entry in entries where entry.function == leaf {
            if entry.flags & CPUIDTable.Entry.indexedFlag == 0 || entry.index == subleaf {
                return CPUIDResult(eax: entry.eax, ebx: entry.ebx, ecx: entry.ecx, edx: entry.edx)
            }
        }
        return nil
    }
}
