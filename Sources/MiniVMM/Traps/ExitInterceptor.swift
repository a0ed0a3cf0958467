import Counters
import KVM

/// Somebody who looks at a vCPU's exits before the devices do: a trap, the interrupt stubs of a flat guest.
///
/// Which one it is, is chosen once per run. The run loop is specialised for it by the compiler, so that what an
/// interceptor does not do costs nothing. An interceptor belongs to one vCPU, and is used on that vCPU's thread alone.
///
/// Whoever services an exit counts it first (`ExitCounters.begin(_:)`), and says what it is booked as.
protocol ExitInterceptor {
    /// The registers that exits should bring with them.
    var wantedRegisters: SynchronizedRegisters.Demand { get }

    /// Gets ready, before the first entry.
    func start(_ runner: VCPURunner) throws(KVMError)

    /// Looks at an OUT.
    ///
    /// - Returns: nil when it is the guest's own.
    func portOut(_ access: PortAccess, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service?

    /// Looks at an exit that is neither port I/O nor MMIO.
    ///
    /// - Returns: nil when it is the guest's own.
    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service?

    /// Follows the guest after an exit was serviced, before it is booked.
    func follow(_ runner: VCPURunner) throws(KVMError)

    /// Looks around after a KVM_RUN without an exit: a kick, or the start of a vCPU that waited for it.
    func resume(_ runner: VCPURunner) throws(KVMError)

    /// Prepares the next entry, after an exit was booked.
    ///
    /// - Returns: Whether the guest goes on.
    func proceed(after exit: Exit, _ runner: VCPURunner) throws(KVMError) -> Bool
}

extension ExitInterceptor {
    var wantedRegisters: SynchronizedRegisters.Demand { .none }

    @inline(__always)
    func start(_ runner: VCPURunner) throws(KVMError) {}

    @inline(__always)
    func portOut(_ access: PortAccess, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? { nil }

    @inline(__always)
    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? { nil }

    @inline(__always)
    func follow(_ runner: VCPURunner) throws(KVMError) {}

    @inline(__always)
    func resume(_ runner: VCPURunner) throws(KVMError) {}

    @inline(__always)
    func proceed(after exit: Exit, _ runner: VCPURunner) throws(KVMError) -> Bool { true }
}

/// No trap: CPUID is KVM's to answer.
final class NoTrap: ExitInterceptor {}
