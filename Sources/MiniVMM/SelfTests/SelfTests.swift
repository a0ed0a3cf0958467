import Boot
import Glibc
import KVM
import Memory
import Tracepoints

/// What a host's KVM can do, found out by trying, in one throw-away virtual machine for all that is asked.
///
/// To make a virtual machine, and above all to close it, takes the kernel longer than a test does: it waits until no
/// processor uses it any more. So the tests share one, with a vCPU for each, and whoever has something better to do while
/// the kernel waits closes it later.
final class SelfTests: @unchecked Sendable {
    // Sound to call Sendable: one thread uses it at a time, the one that makes a machine or a question's own, and then
    // the one that runs the machine.

    private let kvm: KVM
    private var machine: VirtualMachine?
    private var vcpuCount: UInt32 = 0

    /// The memory of the virtual machine. What the tests need lies in it.
    private static let memorySize = RingThreeSandbox.size

    init(_ kvm: KVM) {
        self.kvm = kvm
    }

    /// Which CPUID traps work for code in ring 0.
    func trapSupport() throws -> CPUIDTrapSupport {
        try kvm.finding(by: CPUIDTrapSelfTest.self) { CPUIDTrapSelfTest.run(on: try makeVCPU()) }
    }

    /// Whether Linux guests boot.
    func linuxSupport() throws -> LinuxSupport {
        try kvm.finding(by: LinuxSelfTest.self) {
            if let missing = Capability.requiredForLinux.first(where: { kvm.value(of: $0) == 0 }) {
                return .missingCapability(missing)
            }
            return try LinuxSelfTest.run(on: makeVCPU())
        }
    }

    /// Checks that they do.
    func requireLinuxSupport() throws {
        let support = try linuxSupport()
        guard support.isComplete else { throw LinuxSupportError.cannotBoot(support) }
    }

    /// What there is for the fault trap.
    func faultTrapSupport() throws -> FaultTrapSupport {
        try kvm.finding(by: FaultTrapSelfTest.self) {
            guard kvm.value(of: .userSpaceMSR) > 0, kvm.value(of: .msrFilter) > 0 else { return FaultTrapSupport() }
            return try FaultTrapSelfTest.run(on: makeVCPU())
        }
    }

    /// Whether KVM's tracepoints tell of every exit, and how the programs are attached.
    func tracepointSupport() throws -> ExitTracepoints.Method {
        try kvm.finding(by: TracepointSelfTest.self) {
            Result { try TracepointSelfTest.run(on: self) }
        }.get()
    }

    /// What a debugger can use for code in ring 0.
    func debugSupport() throws -> DebugSupport {
        // Before: what is found out about a KVM is found out one thing at a time.
        let traps = try trapSupport()
        return kvm.finding(by: DebugSelfTest.self) {
            DebugSupport(
                breakpoints: traps.debug,
                // A mechanism whose ioctl fails does not work.
                watchpoints: (try? DebugSelfTest(makeVCPU()).watchpointsWork()) ?? false,
                softwareBreakpoints: (try? DebugSelfTest(makeVCPU()).softwareBreakpointsWork()) ?? false,
                patches: traps.patch, steps: traps.step)
        }
    }

    /// Gives the virtual machine back, if one was made.
    func close() {
        machine = nil
    }

    /// A vCPU that has not run yet, with memory that is zero.
    func makeVCPU() throws -> VCPU {
        let machine = try machine ?? makeMachine()
        self.machine = machine
        if vcpuCount > 0 {
            try machine.memory.write([UInt8](repeating: 0, count: Int(Self.memorySize)), at: GuestPhysicalAddress(0))
        }
        let vcpu = try machine.makeVCPU(id: vcpuCount)
        vcpuCount += 1
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        return vcpu
    }

    private func makeMachine() throws -> VirtualMachine {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: Self.memorySize)])
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        return machine
    }
}

extension VCPU {
    /// Enters the guest until it exits, whatever signals are under way to this thread.
    ///
    /// - Throws: `KVMError` when KVM_RUN fails.
    func enterThroughSignals() throws(KVMError) {
        var result = enter()
        while result == -EINTR { result = enter() }
        guard result == 0 else { throw .failed("KVM_RUN", result) }
    }
}
