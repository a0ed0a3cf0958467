extension MachineAssembly {
    /// Makes the fault traps, one for each vCPU, and switches CPUID faulting on, where that is wanted.
    ///
    /// - Returns: nil when there is to be none.
    /// - Throws: ``SiteTrapError`` when a trap is asked for that cannot be had; ``KVMError``.
    static func makeFaultTraps(
        _ options: MachineOptions, kvm: KVM, machine: VirtualMachine, vcpus: [VCPU]
    ) throws -> [FaultTrap]? {
        switch options.trap {
        case .none: return nil
        case .auto: guard try kvm.supportsFaultTrap() else { return nil }
        case .fault: guard try kvm.supportsFaultTrap() else { throw SiteTrapError.notSupported(.fault) }
        case .debug, .patch, .step: throw SiteTrapError.notForLinuxGuests(options.trap)
        }
        try machine.interceptMSR(ModelSpecificRegister.miscFeaturesEnables)
        for vcpu in vcpus {
            let isOn = try vcpu.setMSR(
                ModelSpecificRegister.miscFeaturesEnables, ModelSpecificRegister.cpuidFaulting)
            guard isOn else { throw SiteTrapError.notSupported(.fault) }
        }
        let mechanism = try faultTrapMechanism(kvm: kvm, memory: machine.memory)
        return vcpus.map { _ in FaultTrap(memory: machine.memory, mechanism: mechanism) }
    }

    /// What makes a handler exit: a debug register where they work, else an OUT.
    ///
    /// - Throws: ``KVMError`` or ``GuestMemoryError`` when not even a throw-away machine can be made.
    static func faultTrapMechanism(kvm: KVM, memory: GuestMemory) throws -> FaultTrap.Mechanism {
        try kvm.trapSupport().debug
            ? .debugRegister : .patch(HandlerPatches(memory: memory, port: SiteTrap.candidatePorts[0]))
    }
}
