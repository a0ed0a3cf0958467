import CKVM
package import Counters
import Devices
package import Host
package import KVM
package import Memory

/// A program in 64-bit mode at privilege level 3, with nothing around it but what the processor needs to raise an
/// exception: page tables, a descriptor table, a task with a stack, and one interrupt gate. Linear addresses are
/// physical ones.
///
/// It stands for a program under an operating system, in places where there is no operating system: in self-tests and
/// benchmarks.
package struct RingThreeSandbox {
    /// The memory, which holds everything.
    package let memory: GuestMemory

    // Each page has one thing in it.
    private static let pageMapLevel4: UInt64 = 0x1000
    private static let pageDirectoryPointers: UInt64 = 0x2000
    private static let pageDirectory: UInt64 = 0x3000
    private static let descriptors: UInt64 = 0x4000
    private static let task: UInt64 = 0x5000
    package static let interruptTable: UInt64 = 0x6000
    /// The first address after the stack for exceptions.
    package static let stackEnd: UInt64 = 0x8000
    /// The handler of general-protection exceptions.
    package static let handler: UInt64 = 0x8000
    /// The program.
    package static let program: UInt64 = 0x9000
    /// What these take, and some more.
    package static let size: UInt64 = 0x10000

    private static let kernelCode: UInt16 = 0x08
    static let userCode: UInt16 = 0x13
    static let userData: UInt16 = 0x1b
    private static let taskSelector: UInt16 = 0x20

    /// Page-table bits: present, writable, user; and a page of 2 MiB. Source: Intel SDM, volume 3, "4-level paging".
    private static let entryBits: UInt64 = 0x7
    private static let largePage: UInt64 = 1 << 7

    /// Descriptors: present, accessed, and of the levels and sizes that their names say. Source: Intel SDM, volume 3,
    /// "Segment descriptors".
    private static let kernelCodeDescriptor: UInt64 = 0x00af_9b00_0000_ffff
    private static let userCodeDescriptor: UInt64 = 0x00af_fb00_0000_ffff
    private static let userDataDescriptor: UInt64 = 0x00cf_f300_0000_ffff

    /// Builds the sandbox around a program and a handler.
    ///
    /// - Parameter size: The memory, of which the program has what is behind 64 KiB.
    /// - Throws: `GuestMemoryError`.
    package init(
        program: [UInt8], handler: [UInt8], size: UInt64 = RingThreeSandbox.size
    ) throws(GuestMemoryError) {
        try self.init(
            program: program, handler: handler,
            in: GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: size)]))
    }

    /// Builds it in memory that is zero, and has ``size`` bytes or more from address 0 on.
    ///
    /// - Throws: `GuestMemoryError`.
    init(program: [UInt8], handler: [UInt8], in memory: GuestMemory) throws(GuestMemoryError) {
        self.memory = memory
        func store(_ value: UInt64, _ address: UInt64) throws(GuestMemoryError) {
            try memory.store(value, at: GuestPhysicalAddress(address))
        }
        try store(Self.pageDirectoryPointers | Self.entryBits, Self.pageMapLevel4)
        try store(Self.pageDirectory | Self.entryBits, Self.pageDirectoryPointers)
        try store(Self.entryBits | Self.largePage, Self.pageDirectory)
        try store(Self.kernelCodeDescriptor, Self.descriptors + 0x08)
        try store(Self.userCodeDescriptor, Self.descriptors + 0x10)
        try store(Self.userDataDescriptor, Self.descriptors + 0x18)
        // The task's stack pointer for level 0 stands at offset 4.
        try store(Self.stackEnd, Self.task + 4)
        try Self.writeGate(InterruptGate.generalProtection, handler: Self.handler, to: memory)
        try memory.write(handler, at: GuestPhysicalAddress(Self.handler))
        try memory.write(program, at: GuestPhysicalAddress(Self.program))
    }

    /// Points a vector at a handler: an interrupt gate into level 0.
    static func writeGate(
        _ vector: UInt64, handler: UInt64, to memory: GuestMemory
    ) throws(GuestMemoryError) {
        let presentInterruptGate: UInt64 = 0x8e << 40
        let low =
            handler & 0xffff | UInt64(kernelCode) << 16 | presentInterruptGate | (handler >> 16 & 0xffff) << 48
        let address = GuestPhysicalAddress(interruptTable + vector * InterruptGate.size)
        try memory.store(low, at: address)
        try memory.store(handler >> 32, at: address &+ 8)
    }

    /// Puts a vCPU in front of the program, at level 3.
    ///
    /// - Throws: `KVMError`.
    package func enter(_ vcpu: VCPU) throws(KVMError) {
        var special = try vcpu.specialRegisters()
        special.cr3 = Self.pageMapLevel4
        special.cr4 |= RegisterBits.cr4PhysicalAddressExtension
        special.cr0 |= RegisterBits.cr0ProtectionEnable | RegisterBits.cr0Paging
        special.efer |= RegisterBits.eferLongModeEnable | RegisterBits.eferLongModeActive
        special.gdt.base = Self.descriptors
        special.gdt.limit = 0x2f
        special.idt.base = Self.interruptTable
        special.idt.limit = UInt16(InterruptGate.size * (InterruptGate.generalProtection + 1) - 1)
        special.cs = Self.segment(Self.userCode, type: 11, isLong: true)
        let data = Self.segment(Self.userData, type: 3, isLong: false)
        (special.ds, special.es, special.fs, special.gs, special.ss) = (data, data, data, data, data)
        special.tr = SegmentRegister()
        special.tr.selector = Self.taskSelector
        special.tr.base = Self.task
        special.tr.limit = 0x67
        special.tr.type = 11
        special.tr.present = 1
        try vcpu.setSpecialRegisters(special)
        var registers = GeneralRegisters()
        registers.rip = Self.program
        registers.rsp = Self.program
        registers.rflags = RegisterBits.rflagsReserved
        try vcpu.setRegisters(registers)
    }

    private static func segment(_ selector: UInt16, type: UInt8, isLong: Bool) -> SegmentRegister {
        var segment = SegmentRegister()
        segment.selector = selector
        segment.limit = .max
        segment.type = type
        segment.present = 1
        segment.dpl = 3
        segment.s = 1
        segment.g = 1
        segment.l = isLong ? 1 : 0
        segment.db = isLong ? 0 : 1
        return segment
    }
}

/// A machine around a ``RingThreeSandbox``: one vCPU, with the fault trap on, in the run loop that other guests have.
package struct RingThreeMachine {
    package let parts: MachineParts
    private let runner: VCPURunner

    /// Makes the machine. A write to the exit port ends its run.
    ///
    /// - Parameters:
    ///   - mechanism: What makes the handler exit.
    ///   - prepare: Changes memory or the vCPU's state before the run.
    package init(
        kvm: KVM, sandbox: RingThreeSandbox, mechanism: FaultTrap.Mechanism,
        prepare: (GuestMemory, VCPU) throws -> Void = { _, _ in }
    ) throws {
        let machine = try VirtualMachine(kvm: kvm, memory: sandbox.memory)
        try machine.setRealModePages()
        try machine.interceptMSR(ModelSpecificRegister.miscFeaturesEnables)
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        _ = try vcpu.setMSR(ModelSpecificRegister.miscFeaturesEnables, ModelSpecificRegister.cpuidFaulting)
        try sandbox.enter(vcpu)
        try prepare(sandbox.memory, vcpu)

        let control = RunControl()
        let exit = ExitPort { control.stop(.exitPort($0)) }
        let counters = try ExitCounterTable(vcpuCount: 1)
        parts = MachineParts(
            memory: sandbox.memory,
            ports: try PortBus([PortAttachment(exit, named: "exit port", at: DebugPorts.exit...DebugPorts.exit)]),
            mmio: try MMIOBus([]),
            counters: counters,
            leaves: .f22,
            chosenSource: ChosenSource(counters, .user),
            control: control,
            console: try ConsoleOutput(descriptor: -1, shouldGiveUp: { true }, onFailure: { _ in }),
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            recorders: [nil]
        )
        let usesInterruptReturn = try kvm.faultTrapSupport().hasInterruptReturn
        runner = try TrapPlan.fault(sandbox.memory, mechanism, usesInterruptReturn: usesInterruptReturn)
            .makeRunner(vcpu, 0, parts, hasFirmwareStubs: false)
    }

    /// Runs the guest, once, until it ends or the time is up.
    ///
    /// - Throws: `ResourceError` when the system refuses a thread.
    package func run(timeout: Duration) throws(ResourceError) -> RunEnding {
        try KickSignal.install()
        let ended = try EndSignal(count: 1)
        let thread = try PosixThread(name: "vcpu 0") {
            runner.run()
            ended.give()
        }
        if !ended.wait(timeout: timeout) { parts.control.stop(.timeout) }
        thread.join()
        return parts.control.ending ?? .stopped
    }
}
