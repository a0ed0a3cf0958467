package import Boot
import CKVM
import Counters
import Host
package import KVM
import Memory

extension VCPU {
    /// Puts the vCPU in front of the code that the state leads to.
    ///
    /// - Throws: `KVMError` when an ioctl fails.
    package func enter(_ entry: EntryState) throws(KVMError) {
        var special = try specialRegisters()
        entry.apply(to: &special)
        try setSpecialRegisters(special)
        try setRegisters(entry.generalRegisters)
    }
}

extension EntryState {
    /// The general registers, for KVM_SET_REGS.
    package var generalRegisters: GeneralRegisters {
        var registers = GeneralRegisters()
        registers.rip = rip
        registers.rsp = rsp
        registers.rax = rax
        registers.rbx = rbx
        registers.rcx = rcx
        registers.rdx = rdx
        registers.rsi = rsi
        registers.rflags = RegisterBits.rflagsReserved
        return registers
    }

    /// Changes the registers that KVM_GET_SREGS gave into those that the guest starts with, for KVM_SET_SREGS.
    package func apply(to registers: inout SpecialRegisters) {
        if mode == .real { return applyReal(to: &registers) }
        registers.cs = code.register
        registers.ds = data.register
        registers.es = data.register
        registers.fs = data.register
        registers.gs = data.register
        registers.ss = data.register
        registers.tr = task.register
        registers.gdt.base = descriptorTable.base.rawValue
        registers.gdt.limit = descriptorTable.limit
        // A processor comes out of reset with its caches off; firmware has switched them on by now.
        registers.cr0 &= ~(Self.cacheDisable | Self.notWriteThrough)
        switch mode {
        case .real: break
        case .protected:
            registers.cr0 |= RegisterBits.cr0ProtectionEnable
            registers.cr4 = 0
        case .long:
            registers.cr0 |= RegisterBits.cr0ProtectionEnable | RegisterBits.cr0Paging
            registers.cr3 = cr3
            registers.cr4 = RegisterBits.cr4PhysicalAddressExtension
            registers.efer |= RegisterBits.eferLongModeEnable | RegisterBits.eferLongModeActive
        }
    }

    /// KVM's reset values, of which only what differs is changed.
    private func applyReal(to registers: inout SpecialRegisters) {
        registers.cs.selector = code.selector
        registers.cs.base = UInt64(code.selector) << 4
        // No loop over key paths: making those takes longer than all else that a small guest's start does here.
        setData(&registers.ds)
        setData(&registers.es)
        setData(&registers.fs)
        setData(&registers.gs)
        setData(&registers.ss)
    }

    private func setData(_ segment: inout SegmentRegister) {
        segment.selector = data.selector
        segment.base = UInt64(data.selector) << 4
    }

    /// CR0.CD and CR0.NW. Source: Intel SDM, volume 3, "Control Registers".
    private static let cacheDisable: UInt64 = 1 << 30
    private static let notWriteThrough: UInt64 = 1 << 29
}

extension CPUIDTable {
    /// The table of a guest: what KVM supports, with what is the VMM's to set.
    ///
    /// - Parameters:
    ///   - supported: What KVM can back.
    ///   - apicID: The id of the vCPU's local APIC.
    ///   - topology: How the guest's processors hang together.
    ///   - hasDeadlineTimer: Whether the timer of a local APIC inside KVM takes deadlines, which KVM leaves to the VMM to
    ///     say. Linux then needs no other timer, and does not measure this one against another clock.
    package static func guest(
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
        table.addProcessorName()
        return table
    }
}

extension CPUIDTable {
    /// The name of the host's processor. Asked for once: in a virtual machine each CPUID costs an exit of its own.
    private static let hostProcessorName = HostFacts.brandLeaves.map { leaf in
        let answer = ckvm_host_cpuid(leaf, 0)
        return Entry(
            leaf: leaf, result: CPUIDResult(eax: answer.eax, ebx: answer.ebx, ecx: answer.ecx, edx: answer.edx))
    }

    /// Adds the name of the host's processor where KVM leaves it to the VMM: without it guests make one up.
    private mutating func addProcessorName() {
        let maximum = storedResult(leaf: CPUIDLeaf.extendedMaximum, subleaf: 0)?.eax ?? 0
        guard maximum >= HostFacts.brandLeaves.upperBound else { return }
        for leaf in HostFacts.brandLeaves {
            let stored = storedResult(leaf: leaf, subleaf: 0)
            guard stored == nil || stored == CPUIDResult() else { return }
        }
        entries.removeAll { HostFacts.brandLeaves.contains($0.leaf) }
        entries += Self.hostProcessorName
    }
}

extension SegmentDescriptor {
    /// What a vCPU's register holds when the segment is loaded.
    var register: SegmentRegister {
        var segment = SegmentRegister()
        segment.limit = limit
        segment.selector = selector
        segment.type = type
        segment.present = 1
        segment.s = isCodeOrData ? 1 : 0
        segment.l = isLong ? 1 : 0
        segment.db = isBig ? 1 : 0
        segment.g = isGranular ? 1 : 0
        return segment
    }
}
