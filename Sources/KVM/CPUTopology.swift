/// How a guest's processors hang together: one socket, a number of cores, one thread a core. The local APIC's id is
/// the number of the vCPU.
///
/// CPUID says so in several places, in each vendor's and generation's own way, and operating systems pick one of them.
/// What KVM reports as supported has the host's own topology in some of them, and zeros in others, depending on its
/// version; so all of them are written afresh.
///
/// Source: Intel SDM, volume 2, CPUID, leaves 01H, 04H, 0BH and 1FH; AMD APM, volume 3, appendix E, functions
/// 0000_0001h, 0000_000Bh, 8000_0001h, 8000_0008h, 8000_001Dh and 8000_001Eh.
package struct CPUTopology: Hashable, Sendable {
    /// The number of cores, 1 to 255.
    package let coreCount: UInt32

    /// APIC ids have 8 bits where no x2APIC is used, and id 255 addresses all processors.
    static let maximumCoreCount: UInt32 = 255

    /// A socket of a number of cores.
    package init(coreCount: Int) {
        precondition(coreCount >= 1 && coreCount <= Int(Self.maximumCoreCount))
        self.coreCount = UInt32(coreCount)
    }

    /// The bits of an APIC id that tell the cores apart.
    var coreBits: UInt32 {
        UInt32(UInt32.bitWidth - (coreCount - 1).leadingZeroBitCount)
    }

    /// The ids that these bits can hold.
    private var idCount: UInt32 { 1 << coreBits }

    /// Writes the topology into a table, as the processor with the given APIC id sees it.
    package func apply(to table: inout CPUIDTable, apicID: UInt32) {
        let isAMD = table.storedResult(leaf: 0, subleaf: 0).map(CPUIDVendor.isAMDCompatible) ?? false
        for index in table.entries.indices {
            let leaf = table.entries[index].leaf
            table.entries[index].result = adjusted(table.entries[index].result, leaf, isAMD: isAMD, apicID: apicID)
        }
        replaceExtendedTopology(in: &table, apicID: apicID)
        replaceIdentifiers(in: &table, isAMD: isAMD, apicID: apicID)
    }

    /// An entry of which only some bits speak of the topology.
    private func adjusted(_ result: CPUIDResult, _ leaf: UInt32, isAMD: Bool, apicID: UInt32) -> CPUIDResult {
        switch leaf {
        case CPUIDLeaf.features: features(result, apicID: apicID)
        case CPUIDLeaf.cacheParameters: intelCache(result)
        case CPUIDLeaf.extendedFeatures: extendedFeatures(result, isAMD: isAMD)
        case CPUIDLeaf.addressSizes: addressSizes(result, isAMD: isAMD)
        case CPUIDLeaf.cacheProperties: amdCache(result)
        default: result
        }
    }

    /// Leaf 1. EBX bits 31:24: the initial APIC id; bits 23:16: logical processors in the package, which count when
    /// EDX bit 28 (HTT) says that there are several.
    private func features(_ result: CPUIDResult, apicID: UInt32) -> CPUIDResult {
        var result = result
        result.ebx = (result.ebx & 0xffff) | coreCount << 16 | (apicID & 0xff) << 24
        result.edx.set(1 << 28, coreCount > 1)
        return result
    }

    /// Leaf 4, a cache. EAX bits 4:0: its type, 0 for none; bits 7:5: its level; bits 25:14: the maximum number of
    /// APIC ids of processors that share it, minus 1; bits 31:26: of cores in the package, minus 1.
    private func intelCache(_ result: CPUIDResult) -> CPUIDResult {
        guard result.eax & 0x1f != 0 else { return result }
        var result = result
        let sharing = Self.isShared(result) ? idCount - 1 : 0
        // Six bits: with more than 64 cores only the extended topology tells.
        let cores = min(idCount - 1, 0x3f)
        result.eax = (result.eax & 0x3fff) | sharing << 14 | cores << 26
        return result
    }

    /// Leaf 0x8000001D, a cache. As leaf 4, but bits 25:14 count processors, not ids, and there are no bits 31:26.
    private func amdCache(_ result: CPUIDResult) -> CPUIDResult {
        guard result.eax & 0x1f != 0 else { return result }
        var result = result
        let sharing = Self.isShared(result) ? coreCount - 1 : 0
        result.eax = (result.eax & 0x3fff) | sharing << 14
        return result
    }

    /// Whether all cores share a cache: from the third level on. Each core has the levels before for itself.
    private static func isShared(_ cache: CPUIDResult) -> Bool {
        cache.eax >> 5 & 0x7 >= 3
    }

    /// Leaf 0x80000001. ECX bit 1 (CmpLegacy), AMD only: the logical processors of leaf 1 are cores.
    private func extendedFeatures(_ result: CPUIDResult, isAMD: Bool) -> CPUIDResult {
        var result = result
        result.ecx.set(1 << 1, isAMD && coreCount > 1)
        return result
    }

    /// Leaf 0x80000008. ECX, AMD only: bits 7:0 (NC): cores minus 1; bits 15:12 (ApicIdSize): the bits of an APIC id
    /// that tell them apart.
    private func addressSizes(_ result: CPUIDResult, isAMD: Bool) -> CPUIDResult {
        var result = result
        result.ecx = isAMD ? (result.ecx & ~0xf0ff) | (coreCount - 1) | coreBits << 12 : 0
        return result
    }
}

// MARK: - Leaves that speak of nothing else

extension CPUTopology {
    /// Leaves 0xB and 0x1F: a level of the topology for each subleaf. EAX bits 4:0: by how many bits to shift an APIC
    /// id to get the next level's; EBX bits 15:0: processors in this level; ECX bits 7:0: the subleaf, bits 15:8: the
    /// level's type, 0 for none; EDX: the APIC id.
    private func replaceExtendedTopology(in table: inout CPUIDTable, apicID: UInt32) {
        let maximum = table.storedResult(leaf: 0, subleaf: 0)?.eax ?? 0
        for leaf in [CPUIDLeaf.extendedTopology, CPUIDLeaf.extendedTopologyV2] {
            table.entries.removeAll { $0.leaf == leaf }
            guard leaf <= maximum else { continue }
            let levels = [
                CPUIDResult(eax: 0, ebx: 1, ecx: LevelType.thread << 8, edx: apicID),
                CPUIDResult(eax: coreBits, ebx: coreCount, ecx: LevelType.core << 8 | 1, edx: apicID),
                CPUIDResult(ecx: 2, edx: apicID),
            ]
            table.entries += levels.enumerated().map { subleaf, result in
                CPUIDTable.Entry(leaf: leaf, subleaf: UInt32(subleaf), result: result)
            }
        }
    }

    /// The types of levels in leaves 0xB and 0x1F.
    private enum LevelType {
        static let thread: UInt32 = 1
        static let core: UInt32 = 2
    }

    /// Leaf 0x8000001E, AMD only. EAX: the APIC id; EBX bits 7:0: the core, bits 15:8: threads of a core minus 1;
    /// ECX bits 7:0: the node, bits 10:8: nodes minus 1. Leaf 0x80000026 has levels as 0xB has, for which 0xB stands.
    private func replaceIdentifiers(in table: inout CPUIDTable, isAMD: Bool, apicID: UInt32) {
        table.entries.removeAll {
            $0.leaf == CPUIDLeaf.processorIdentifiers || $0.leaf == CPUIDLeaf.extendedTopologyAMD
        }
        let maximum = table.storedResult(leaf: CPUIDLeaf.extendedMaximum, subleaf: 0)?.eax ?? 0
        guard isAMD, CPUIDLeaf.processorIdentifiers <= maximum else { return }
        let identifiers = CPUIDResult(eax: apicID, ebx: apicID & 0xff)
        table.entries.append(CPUIDTable.Entry(leaf: CPUIDLeaf.processorIdentifiers, result: identifiers))
    }
}

extension UInt32 {
    /// Sets or clears bits.
    fileprivate mutating func set(_ bits: UInt32, _ isSet: Bool) {
        self = isSet ? self | bits : self & ~bits
    }
}
