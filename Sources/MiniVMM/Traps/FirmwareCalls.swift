import Boot
import Devices
import KVM

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
        guard _slowPath(access.port == port) else { return nil }
        return try runner.serviceFirmwareCall()
    }

    // The rest is the trap's, but for the timer's interrupt.

    var wantedRegisters: SynchronizedRegisters.Demand { trap.wantedRegisters }

    func start(_ runner: VCPURunner) throws(KVMError) { try trap.start(runner) }

    @inline(__always)
    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        if let serviced = try trap.rare(exit, runner) { return serviced }
        guard case .irqWindowOpen = exit, let ticks = runner.machine.ticks else { return nil }
        try ticks.deliver(runner.vcpu)
        return .ownDoing
    }

    @inline(__always)
    func follow(_ runner: VCPURunner) throws(KVMError) { try trap.follow(runner) }

    @inline(__always)
    func resume(_ runner: VCPURunner) throws(KVMError) {
        try trap.resume(runner)
        if let ticks = runner.machine.ticks, ticks.isOn { try ticks.deliver(runner.vcpu) }
    }

    @inline(__always)
    func proceed(after exit: Exit, _ runner: VCPURunner) throws(KVMError) -> Bool {
        try trap.proceed(after: exit, runner)
    }
}
