extension CPUIDTable {
    /// The table of a guest: what KVM supports, with what is the VMM's to set.
    ///
    /// - Parameters:
    ///   - supported: What KVM can back.
    ///   - apicID: The id of the vCPU's local APIC.
    static func guest(supported: CPUIDTable, apicID: UInt32) -> CPUIDTable {
        var table = supported
        for index in table.entries.indices {
            switch table.entries[index].leaf {
            case CPUIDLeaf.features:
                table.entries[index].result.ecx |= CPUIDLeaf.hypervisorBit
                // EBX bits 31:24: the initial APIC id.
                table.entries[index].result.ebx =
                    (table.entries[index].result.ebx & 0x00ff_ffff) | (apicID & 0xff) << 24
            case CPUIDLeaf.extendedTopology, CPUIDLeaf.extendedTopologyV2:
                table.entries[index].result.edx = apicID
            default:
                break
            }
        }
        // Zeros for every CPUID that no trap catches.
        table.entries.removeAll { CounterLeaves.range.contains($0.leaf) }
        table.entries += CounterLeaves.range.map { Entry(leaf: $0, result: CPUIDResult()) }
        return table
    }
}
