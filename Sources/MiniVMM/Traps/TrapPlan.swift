import Boot
import Counters
import Devices
import Host
package import KVM
import Logging
package import Memory

/// Which trap a run has, chosen once. A new trap is a case here and an ``ExitInterceptor``.
enum TrapPlan {
    case none
    case breakpoints(CPUIDSites, GuestMemory)
    case patches(CPUIDSites, port: UInt8, GuestMemory)
    case step
    case fault(GuestMemory, FaultTrap.Mechanism, usesInterruptReturn: Bool)

    /// The trap for a guest that is loaded: what was asked for, or what works here and suffices.
    ///
    /// - Parameter claimed: The machine's devices, whose ports are theirs.
    /// - Throws: ``SiteTrapError`` when what was asked for cannot be had; `KVMError` when the self-test cannot run.
    init(
        for guest: some Guest, options: MachineOptions, tests: SelfTests, memory: GuestMemory, claimed: [PortAttachment]
    ) throws {
        switch guest.code {
        case .image(let image, let address):
            let code = [LoadedCode(image, at: address)]
            try self.init(.choose(for: code, claimed: claimed, options: options, tests: tests), memory)
        case .kernel(let code):
            try self.init(.choose(for: code, isKernel: true, claimed: claimed, options: options, tests: tests), memory)
        case .operatingSystem:
            let mechanism = try CPUIDFaulting.mechanism(
                options.trap, tests, memory, hasDebugger: options.debugging != nil)
            if let mechanism {
                let support = try tests.faultTrapSupport()
                self = .fault(memory, mechanism, usesInterruptReturn: support.hasInterruptReturn)
            } else {
                self = .none
            }
        }
    }

    /// What a site trap comes to.
    private init(_ site: SiteTrap, _ memory: GuestMemory) throws(SiteTrapError) {
        switch site.mechanism {
        case .debug:
            // A breakpoint is taken for a CPUID. What a person names must be one; what a scan finds is.
            try site.check(memory, allowsPrefixes: true)
            self = .breakpoints(site.sites, memory)
        case .patch:
            try site.patch(memory)
            self = .patches(site.sites, port: site.port, memory)
        case .step: self = .step
        case .none, .auto, .fault: self = .none
        }
    }

    /// The name that reports give it.
    var name: CPUIDTrap {
        switch self {
        case .none: .none
        case .breakpoints: .debug
        case .patches: .patch
        case .step: .step
        case .fault: .fault
        }
    }

    /// What the log says of it.
    var metadata: Logger.Metadata {
        let sites: [UInt64] =
            switch self {
            case .breakpoints(let sites, _), .patches(let sites, _, _): sites.addresses
            case .none, .step, .fault: []
            }
        return ["mechanism": "\(name.rawValue)", "sites": "\(sites.map { Hex.number($0) })"]
    }

    /// Makes what runs a vCPU, with the trap and, for a guest that has them, the interrupt stubs in front of it.
    ///
    /// - Throws: `ResourceError` when the system refuses memory.
    func makeRunner(
        _ vcpu: VCPU, _ index: Int, _ parts: MachineParts, hasFirmwareStubs: Bool, debugging: DebugControl? = nil
    ) throws(ResourceError) -> VCPURunner {
        let chosen =
            switch debugging {
            case let debugging?: debuggedLoop(debugging, hasFirmwareStubs: hasFirmwareStubs)
            case nil: hasFirmwareStubs ? loopWithFirmwareCalls : loop
            }
        return try VCPURunner(vcpu: vcpu, index: index, machine: parts, loop: chosen)
    }

    /// The run loop with the trap.
    private var loop: RunLoop {
        switch self {
        case .none: RunLoop(NoTrap())
        case .breakpoints(let sites, let memory): RunLoop(SiteBreakpoints(sites, memory))
        case .patches(let sites, let port, let memory): RunLoop(PatchedSites(sites, port: port, memory: memory))
        case .step: RunLoop(SingleStep())
        case .fault(let memory, let mechanism, let usesInterruptReturn):
            RunLoop(FaultTrap(memory: memory, mechanism: mechanism, usesInterruptReturn: usesInterruptReturn))
        }
    }

    /// The same, and behind the trap the interrupt stubs of a flat guest, whose programs have no fault trap.
    private var loopWithFirmwareCalls: RunLoop {
        switch self {
        case .none, .fault: RunLoop(FirmwareCalls(NoTrap()))
        case .breakpoints(let sites, let memory): RunLoop(FirmwareCalls(SiteBreakpoints(sites, memory)))
        case .patches(let sites, let port, let memory):
            RunLoop(FirmwareCalls(PatchedSites(sites, port: port, memory: memory)))
        case .step: RunLoop(FirmwareCalls(SingleStep()))
        }
    }
}

extension TrapPlan {
    /// The loop that a debugger can stop. Traps that need the debug registers, or single steps, are refused with one.
    private func debuggedLoop(_ control: DebugControl, hasFirmwareStubs: Bool) -> RunLoop {
        switch (self, hasFirmwareStubs) {
        case (.fault(let memory, let mechanism, _), _):
            // Without the guest's IRETQ, which would take a step's flag away.
            RunLoop(Debugged(FaultTrap(memory: memory, mechanism: mechanism), control))
        case (.patches(let sites, let port, let memory), true):
            RunLoop(Debugged(FirmwareCalls(PatchedSites(sites, port: port, memory: memory)), control))
        case (.patches(let sites, let port, let memory), false):
            RunLoop(Debugged(PatchedSites(sites, port: port, memory: memory), control))
        case (.none, true), (.breakpoints, true), (.step, true):
            RunLoop(Debugged(FirmwareCalls(NoTrap()), control))
        case (.none, false), (.breakpoints, false), (.step, false):
            RunLoop(Debugged(NoTrap(), control))
        }
    }
}

/// CPUID faulting: the processor's feature that the fault trap is made of.
package enum CPUIDFaulting {
    /// What makes a handler exit: a debug register where they work, else an OUT.
    ///
    /// - Returns: nil when there is to be no trap.
    /// - Throws: ``SiteTrapError`` when a trap is asked for that cannot be had; `KVMError`.
    static func mechanism(
        _ asked: CPUIDTrap, _ tests: SelfTests, _ memory: GuestMemory, hasDebugger: Bool
    ) throws -> FaultTrap.Mechanism? {
        switch asked {
        case .none: return nil
        case .auto: guard try tests.faultTrapSupport().works else { return nil }
        case .fault: guard try tests.faultTrapSupport().works else { throw SiteTrapError.notSupported(.fault) }
        case .debug, .patch, .step: throw SiteTrapError.notForLinuxGuests(asked)
        }
        return hasDebugger ? patch(memory) : try best(tests, memory)
    }

    private static func patch(_ memory: GuestMemory) -> FaultTrap.Mechanism {
        .patch(HandlerPatches(memory: memory, port: SiteTrap.candidatePorts[0]))
    }

    /// The mechanism that works here.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    package static func best(kvm: KVM, memory: GuestMemory) throws -> FaultTrap.Mechanism {
        try best(SelfTests(kvm), memory)
    }

    private static func best(_ tests: SelfTests, _ memory: GuestMemory) throws -> FaultTrap.Mechanism {
        try tests.trapSupport().debug ? .debugRegister : patch(memory)
    }

    /// Switches CPUID faulting on, and lets the guest's own accesses to its MSR exit.
    ///
    /// - Throws: ``SiteTrapError/notSupported(_:)``; `KVMError`.
    static func enable(_ machine: VirtualMachine, _ vcpus: [VCPU]) throws {
        try machine.interceptMSR(ModelSpecificRegister.miscFeaturesEnables)
        for vcpu in vcpus {
            let isOn = try vcpu.setMSR(
                ModelSpecificRegister.miscFeaturesEnables, ModelSpecificRegister.cpuidFaulting)
            guard isOn else { throw SiteTrapError.notSupported(.fault) }
        }
    }
}
