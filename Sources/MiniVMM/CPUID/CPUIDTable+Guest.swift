extension CPUIDTable {
    /// The table of a guest: what KVM supports, with what is the VMM's to set.
    ///
    /// - Parameters:
    ///   - supported: What KVM can back.
    ///   - apicID: The id of the vCPU's local APIC.
    ///   - topology: How the guest's processors hang together.
    ///   - hasDeadlineTimer: Whether the timer of a local APIC inside KVM takes deadlines, which KVM leaves to the VMM to
    ///     say. Linux then needs no other timer, and does not measure this one against another clock.
    static func guest(
        supported: CPUIDTable, apicID: UInt32, topology: CPUTopology = CPUTopology(coreCount: 1),
        hasDeadlineTimer: Bool = false
    ) -> CPUIDTable {
        var table = supported
        topology.apply(to: &table, apicID: apicID)
        for index in table.entries.indices where table.entries[index].leaf == CPUIDLeaf.features {
            table.entries[index].result.ecx |= CPUIDLeaf.hypervisorBit
            if hasDeadlineTimer { table.entries[index].result.ecx |= CPUIDLeaf.deadlineTimerBit }
        }
        // Zeros for every CPUID that no trap catches.
        table.entries.removeAll { CounterLeaves.range.contains($0.leaf) }
        table.entries += CounterLeaves.range.map { Entry(leaf: $0, result: CPUIDResult()) }
        return table
    }
}
