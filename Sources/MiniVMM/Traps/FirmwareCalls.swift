import Boot
import Counters
import Devices
import KVM
import Memory

/// The interrupt stubs of a flat guest: what stands behind every vector until the guest installs its own handlers. It
/// comes second to a trap.
struct FirmwareCalls<Trap: ExitInterceptor>: ExitInterceptor {
    private let trap: Trap
    /// A copy: a constant of another module is asked for by a call.
    private let port = UInt16(FirmwareStubs.port)

    init(_ trap: Trap) {
        self.trap = trap
    }

    @inline(__always)
    func portOut(_ access: PortAccess, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        if let serviced = try trap.portOut(access, runner) { return serviced }
        guard access.port == port else { return nil }
        return try runner.serviceFirmwareCall()
    }

    // The rest is the trap's.

    var wantedRegisters: SynchronizedRegisters.Demand { trap.wantedRegisters }

    func start(_ runner: VCPURunner) throws(KVMError) { try trap.start(runner) }

    @inline(__always)
    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        try trap.rare(exit, runner)
    }

    @inline(__always)
    func follow(_ runner: VCPURunner) throws(KVMError) { try trap.follow(runner) }

    @inline(__always)
    func resume(_ runner: VCPURunner) throws(KVMError) { try trap.resume(runner) }

    @inline(__always)
    func proceed(after exit: Exit, _ runner: VCPURunner) throws(KVMError) -> Bool {
        try trap.proceed(after: exit, runner)
    }
}

// MARK: Servicing a call

extension VCPURunner {
    /// The vector of the video services. Source: the IBM PC's BIOS.
    private static let videoServices: UInt8 = 0x10
    /// INT 10h, AH: write a character and move the cursor on.
    private static let teletypeOutput: UInt8 = 0x0e

    /// Services an OUT to the firmware's port, if a stub executed it.
    ///
    /// - Returns: nil when the OUT is the guest's own.
    final func serviceFirmwareCall() throws(KVMError) -> Service? {
        let registers = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        guard special.cr0 & RegisterBits.cr0ProtectionEnable == 0,
            let vector = FirmwareStubs.vector(
                codeSegment: special.cs.selector, instructionPointer: registers.rip)
        else { return nil }
        counters.begin(.portOut)
        guard vector == Self.videoServices else {
            return over(.portOut, .died(unhandled(vector, registers, special)))
        }
        // Other functions (modes, cursors, scrolling) have no screen to act on, and are done with nothing done.
        if UInt8(truncatingIfNeeded: registers.rax >> 8) == Self.teletypeOutput {
            machine.console.write(UInt8(truncatingIfNeeded: registers.rax))
        }
        return .booked(.portOut)
    }

    /// The death by a vector that nobody handles: with the state that the interrupt found, not the stub's.
    ///
    /// An interrupt in real mode pushes FLAGS, CS and IP, two bytes each, so that they stand at SS:SP in the opposite
    /// order. Source: Intel SDM, volume 3, "Real-address mode".
    private func unhandled(_ vector: UInt8, _ registers: GeneralRegisters, _ special: SpecialRegisters) -> GuestDeath {
        func pushed(_ index: UInt16) -> UInt16 {
            let pointer = UInt16(truncatingIfNeeded: registers.rsp) &+ index &* 2
            let address = GuestPhysicalAddress(special.ss.base &+ UInt64(pointer))
            // All ones where the guest's stack lies outside memory.
            return (try? machine.memory.load(UInt16.self, at: address)) ?? .max
        }
        let address = SegmentedAddress(segment: pushed(1), offset: pushed(0))
        var registers = registers
        var special = special
        registers.rip = UInt64(address.offset)
        registers.rflags = UInt64(pushed(2))
        registers.rsp = registers.rsp &+ 6
        special.cs.selector = address.segment
        special.cs.base = UInt64(address.segment) << 4
        return GuestDeath(
            cause: .unhandledVector(vector, at: address),
            vcpu: index,
            state: VCPUSnapshot(registers: registers, special: special, memory: machine.memory)
        )
    }
}
