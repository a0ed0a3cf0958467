extension CPUIDTable {
    /// The table of a guest: what KVM supports, with what is the VMM's to set.
    ///
    /// - Parameters:
    ///   - supported: What KVM can back.
    ///   - apicID: The id of the vCPU's local APIC.
    ///   - topology: How the guest's processors hang together.
    static func guest(
        supported: CPUIDTable, apicID: UInt32, topology: CPUTopology = CPUTopology(coreCount: 1)
    ) -> CPUIDTable {
        var table = supported
        topology.apply(to: &table, apicID: apicID)
        for index in table.entries.indices where table.entries[index].leaf == CPUIDLeaf.features {
            table.entries[index].result.ecx |= CPUIDLeaf.hypervisorBit
        }
        // Zeros for every CPUID that no trap catches.
        table.entries.removeAll { CounterLeaves.range.contains($0.leaf) }
        table.entries += CounterLeaves.range.map { Entry(leaf: $0, result: CPUIDResult()) }
        return table
    }
}
