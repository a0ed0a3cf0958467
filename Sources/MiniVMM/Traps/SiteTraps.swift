import CKVM
import Counters
import KVM
import Memory

/// The trap `debug`: a debug register on each site.
final class SiteBreakpoints: ExitInterceptor {
    private let sites: CPUIDSites
    /// How many prefixes each CPUID has before its opcode, in the order of the sites.
    private let prefixCounts: [Int]

    /// - Parameter memory: The guest's, as it is loaded.
    init(_ sites: CPUIDSites, _ memory: GuestMemory) {
        self.sites = sites
        prefixCounts = sites.addresses.map { CPUIDSites.prefixCount(at: $0, in: memory) ?? 0 }
    }

    var wantedRegisters: SynchronizedRegisters.Demand { .general }

    func start(_ runner: VCPURunner) throws(KVMError) {
        try runner.setGuestDebug(.breakpoints(sites.addresses))
    }

    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        // A single step that ends at a site is the guest's own: the breakpoint comes after it.
        guard case .debug(let pc, let dr6) = exit, dr6 & DebugStatus.singleStep == 0, let index = sites.index(of: pc)
        else { return nil }
        runner.counters.begin(.cpuid)
        var registers = try runner.registers.general()
        let site = registers.rip &+ UInt64(prefixCounts[index])
        try runner.responder.answer(&registers, at: site)
        registers.rip = site &+ UInt64(CPUIDSites.opcode.count)
        try runner.setAfterInstruction(registers)
        return .booked(.cpuid)
    }
}

/// The trap `patch`: an OUT in place of each site. The patches were written when the guest was loaded.
final class PatchedSites: ExitInterceptor {
    private let sites: CPUIDSites
    private let port: UInt16
    private let memory: GuestMemory
    /// The exits after a hit that bring the segment and control registers along.
    private var afterAnswer = ExitsAfterAnswer()

    init(_ sites: CPUIDSites, port: UInt8, memory: GuestMemory) {
        self.sites = sites
        self.port = UInt16(port)
        self.memory = memory
    }

    var wantedRegisters: SynchronizedRegisters.Demand { .general }

    @inline(__always)
    func follow(_ runner: VCPURunner) throws(KVMError) {
        guard afterAnswer.areLeft else { return }
        afterAnswer.follow()
        try runner.registers.wantSpecial(afterAnswer.areLeft)
    }

    @inline(__always)
    func portOut(_ access: PortAccess, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        access.port == port ? try service(runner) : nil
    }

    @inline(never)
    private func service(_ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        var general = try runner.registers.general()
        afterAnswer.begin()
        try runner.registers.wantSpecial(true)
        guard let (site, isPast) = site(general, try runner.registers.special()) else { return nil }
        runner.counters.begin(.cpuid)
        try runner.responder.answer(&general, at: site)
        // RIP stays as it is: where it is still at the OUT, KVM skips the OUT at the next KVM_RUN, and raises the #DB of
        // a single step. Its emulator has forgotten that step.
        if isPast {
            try runner.setAfterInstruction(general)
        } else {
            try runner.registers.setGeneral(general)
        }
        return .booked(.cpuid)
    }

    /// The instruction pointer of an OUT that just exited, if it stands at a site, and whether RIP is past it already: it
    /// is when KVM's emulator ran it.
    private func site(_ general: GeneralRegisters, _ special: SpecialRegisters) -> (UInt64, isPast: Bool)? {
        let linear = general.linearInstructionPointer(special)
        let walk = special.pageWalk
        if let after = walk.translate(linear &- UInt64(CPUIDSites.opcode.count), in: memory),
            sites.contains(after.rawValue)
        {
            return (general.rip &- UInt64(CPUIDSites.opcode.count), true)
        }
        // Prefixes of the CPUID are now the OUT's.
        let prefixes = InstructionWindow(at: linear, walk: walk, memory: memory)
            .prefixCount(is64Bit: special.isCode64Bit)
        guard let at = walk.translate(linear &+ UInt64(prefixes), in: memory) else { return nil }
        return sites.contains(at.rawValue) ? (general.rip &+ UInt64(prefixes), false) : nil
    }
}

/// The exits after an answered CPUID that bring the segment and control registers along.
///
/// Where a program asks once it asks more: the C library some tens of times when a program starts. That costs less than to
/// ask KVM for the registers at the next hit, which takes longer than all else that is done for it.
struct ExitsAfterAnswer {
    static let count = 8
    private var left = 0

    /// Whether there are more to come.
    var areLeft: Bool { left > 0 }

    /// Starts with the exit that asks, which is followed as well.
    mutating func begin() { left = Self.count &+ 1 }

    /// Takes note of one.
    mutating func follow() { if left > 0 { left &-= 1 } }
}

extension VCPURunner {
    /// Sets the general registers after an instruction that was serviced in the guest's place. A guest that steps
    /// itself gets its #DB there.
    func setAfterInstruction(_ general: GeneralRegisters) throws(KVMError) {
        guard general.rflags & RegisterBits.rflagsTrap != 0 else { return try registers.setGeneral(general) }
        try registers.setGeneralNow(general)
        try vcpu.raiseSingleStep()
    }
}

/// The trap `step`: an exit after every instruction.
final class SingleStep: ExitInterceptor {
    /// The linear address after the HLT that is the next instruction, if it is one.
    private var haltEnd: UInt64?

    var wantedRegisters: SynchronizedRegisters.Demand { .all }

    func start(_ runner: VCPURunner) throws(KVMError) {
        try runner.setGuestDebug(.singleStep)
        // No step leads to the first instruction.
        try serviceCPUIDsAtInstructionPointer(runner)
        try runner.setGuestDebug(.singleStep)
    }

    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        guard case .debug(let pc, _) = exit else { return nil }
        if steppedOverHalt(pc: pc) {
            guard runner.machine.hasInterruptControllers else { return runner.serviceRare(.hlt) }
            // The vCPU waits in KVM for an interrupt, as it would without single-stepping. Where KVM's emulator ran the
            // HLT, the step came first, and it would go on.
            try runner.vcpu.halt()
        }
        // The step led to a CPUID: it is that instruction's exit. Else it is nothing but a step.
        return try serviceNextInstruction(runner) ? .booked(.cpuid) : .ownDoing
    }

    /// INIT resets the trap flag by which KVM steps, and no step leads to the first instruction after it.
    func resume(_ runner: VCPURunner) throws(KVMError) {
        try serviceCPUIDsAtInstructionPointer(runner)
        try runner.setGuestDebug(.singleStep)
    }

    /// Services the CPUIDs that follow an exit, and sets out for the next step.
    func proceed(after exit: Exit, _ runner: VCPURunner) throws(KVMError) -> Bool {
        if case .debug = exit {} else { guard try finishInstruction(runner) else { return false } }
        try serviceCPUIDsAtInstructionPointer(runner)
        // An instruction that KVM emulates loses the trap flag, and a changed instruction pointer is not the one that KVM
        // steps from: it has to be told before each step. Source: arch/x86/kvm/x86.c, __kvm_set_rflags().
        try runner.setGuestDebug(.singleStep)
        runner.entry = ckvm_rdtsc()
        return !runner.machine.control.isStopping
    }

    /// Lets KVM finish the instruction that has exited.
    ///
    /// A step over an instruction that exits is reported as that exit alone, so the instruction after it would run
    /// before the next step is reported.
    ///
    /// - Returns: Whether the guest goes on.
    private func finishInstruction(_ runner: VCPURunner) throws(KVMError) -> Bool {
        while true {
            runner.vcpu.requestImmediateExit()
            let result = runner.vcpu.enter()
            runner.serviceStart = ckvm_rdtsc()
            guard result == 0 else {
                guard try runner.shouldReenter(after: result) else { return false }
                runner.counters.bookInternal(cycles: ckvm_rdtsc() &- runner.serviceStart)
                return true
            }
            // Another exit of the same instruction, or the step's own. Should this clear a kick along with our own
            // request, the next turn finds that the run is stopping.
            runner.vcpu.clearImmediateExit()
            guard runner.settle(try runner.runLoop.service(runner, Exit(of: runner.vcpu))) else { return false }
        }
    }

    /// Services CPUIDs for as long as one is next. Each is booked as an exit of its own, as it would be with any trap.
    private func serviceCPUIDsAtInstructionPointer(_ runner: VCPURunner) throws(KVMError) {
        while !runner.machine.control.isStopping {
            runner.serviceStart = ckvm_rdtsc()
            guard try serviceNextInstruction(runner) else { return }
            _ = runner.settle(.booked(.cpuid))
        }
    }

    /// Looks at the instruction that is next: a CPUID is serviced and skipped, a HLT remembered.
    ///
    /// - Returns: Whether it was a CPUID.
    private func serviceNextInstruction(_ runner: VCPURunner) throws(KVMError) -> Bool {
        var general = try runner.registers.general()
        let special = try runner.registers.special()
        let linear = general.linearInstructionPointer(special)
        let window = InstructionWindow(at: linear, walk: special.pageWalk, memory: runner.machine.memory)
        let prefixes = window.prefixCount(is64Bit: special.isCode64Bit)
        haltEnd = window[prefixes] == Self.hlt ? linear &+ UInt64(prefixes) &+ 1 : nil
        guard window[prefixes] == CPUIDSites.opcode[0], window[prefixes &+ 1] == CPUIDSites.opcode[1] else {
            return false
        }
        runner.counters.begin(.cpuid)
        try runner.responder.answer(&general, at: general.rip &+ UInt64(prefixes))
        general.rip = general.rip &+ UInt64(prefixes &+ CPUIDSites.opcode.count)
        try runner.registers.setGeneralNow(general)
        return true
    }

    /// The opcode of HLT. Source: Intel SDM, volume 2.
    private static let hlt: UInt8 = 0xf4

    /// Whether a step led over a HLT. Where KVM's emulator ran it, the step is reported and the HLT is not.
    private func steppedOverHalt(pc: UInt64) -> Bool {
        defer { haltEnd = nil }
        return pc == haltEnd
    }
}
