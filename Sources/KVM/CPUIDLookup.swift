import CKVM

/// KVM's rules for answering CPUID out of a table, whoever keeps the table.
///
/// Source: arch/x86/kvm/cpuid.c, kvm_cpuid() and get_out_of_range_cpuid_entry(); Intel SDM, volume 2, CPUID.
package protocol CPUIDLookup {
    /// What the table holds for a leaf and subleaf, if it has an entry.
    func storedResult(leaf: UInt32, subleaf: UInt32) -> CPUIDResult?
}

extension CPUIDLookup {
    /// What CPUID answers for a leaf and subleaf.
    ///
    /// Leaves out of the range of their class answer as the highest basic leaf does on Intel processors, and with
    /// zeros on AMD's.
    package func lookUp(leaf: UInt32, subleaf: UInt32) -> CPUIDResult {
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
        if let maximum = storedResult(leaf: classLeaf, subleaf: 0)?.eax, leaf <= maximum { return nil }
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
    package func storedResult(leaf: UInt32, subleaf: UInt32) -> CPUIDResult? {
        entry(leaf: leaf, subleaf: subleaf)?.result
    }

    /// The entry for a leaf and subleaf, if the table has one.
    public func entry(leaf: UInt32, subleaf: UInt32 = 0) -> Entry? {
        entries.first { $0.leaf == leaf && (!$0.isIndexed || $0.subleaf == subleaf) }
    }
}

extension KernelCPUIDBuffer: CPUIDLookup {
    package func storedResult(leaf: UInt32, subleaf: UInt32) -> CPUIDResult? {
        let entries = unsafe entries
        for index in entries.indices {
            let entry = unsafe entries[index]
            guard entry.function == leaf else { continue }
            if entry.flags & CPUIDTable.Entry.indexedFlag == 0 || entry.index == subleaf {
                return CPUIDResult(eax: entry.eax, ebx: entry.ebx, ecx: entry.ecx, edx: entry.edx)
            }
        }
        return nil
    }
}

/// The leaves that MiniVMM itself looks at. Source: Intel SDM, volume 2, CPUID; AMD APM, volume 3, CPUID.
package enum CPUIDLeaf {
    package static let features: UInt32 = 1
    /// Leaf 1, ECX bit 24: the timer of the local APIC can be set to a value of the time-stamp counter.
    package static let deadlineTimerBit: UInt32 = 1 << 24
    /// Leaf 1, ECX bit 31: a hypervisor is present.
    package static let hypervisorBit: UInt32 = 1 << 31
    static let cacheParameters: UInt32 = 4
    static let extendedFeaturesOfIntel: UInt32 = 7
    static let extendedState: UInt32 = 0xd
    static let protectedEnclaves: UInt32 = 0x12
    /// The leaves that are for hypervisors.
    static let hypervisors: ClosedRange<UInt32> = 0x4000_0000...0x4fff_ffff
    static let extendedTopology: UInt32 = 0xb
    static let extendedTopologyV2: UInt32 = 0x1f
    package static let extendedMaximum: UInt32 = 0x8000_0000
    static let extendedFeatures: UInt32 = 0x8000_0001
    package static let powerManagement: UInt32 = 0x8000_0007
    /// Leaf 0x80000007, EDX bit 8: the time-stamp counter runs at a constant rate in all power states.
    package static let invariantTSCBit: UInt32 = 1 << 8
    static let addressSizes: UInt32 = 0x8000_0008
    static let cacheProperties: UInt32 = 0x8000_001d
    static let processorIdentifiers: UInt32 = 0x8000_001e
    static let extendedTopologyAMD: UInt32 = 0x8000_0026
}

extension CPUIDLeaf {
    /// Whether KVM changes a leaf of a vCPU's table while the vCPU runs, as it does with bits that stand for CR4, XCR0,
    /// IA32_XSS and the state of the local APIC. All others stay as they were set.
    ///
    /// KVM changes OSXSAVE, APIC and MONITOR in leaf 1, OSPKE in 7, the sizes of the XSAVE area in 0xd, the enclaves' XFRM in
    /// 0x12 (in some versions), and a bit of its own features. Source: Linux, arch/x86/kvm/cpuid.c,
    /// kvm_update_cpuid_runtime().
    package static func changesAtRunTime(_ leaf: UInt32) -> Bool {
        switch leaf {
        case features, extendedFeaturesOfIntel, extendedState, protectedEnclaves, hypervisors: true
        default: false
        }
    }
}

extension CPUIDTable {
    /// The bits of a physical address: 36 where the table does not say, and never more than page tables have.
    package var physicalAddressBits: UInt64 {
        let bits = storedResult(leaf: CPUIDLeaf.addressSizes, subleaf: 0).map { UInt64($0.eax & 0xff) } ?? 0
        return (36...52).contains(bits) ? bits : 36
    }
}

/// Who made the processor that a CPUID table describes.
enum CPUIDVendor {
    private static let authenticAMD = CPUIDResult(ebx: 0x6874_7541, ecx: 0x444d_4163, edx: 0x6974_6e65)
    private static let amdIsBetter = CPUIDResult(ebx: 0x6944_4d41, ecx: 0x2172_6574, edx: 0x7465_6273)
    private static let hygonGenuine = CPUIDResult(ebx: 0x6f67_7948, ecx: 0x656e_6975, edx: 0x6e65_476e)

    /// Whether leaf 0 has the vendor string of AMD or Hygon. Source: arch/x86/kvm/cpuid.h; AMD APM, volume 3, CPUID.
    static func isAMDCompatible(_ basic: CPUIDResult) -> Bool {
        let vendor = CPUIDResult(ebx: basic.ebx, ecx: basic.ecx, edx: basic.edx)
        return vendor == authenticAMD || vendor == amdIsBetter || vendor == hygonGenuine
    }
}
