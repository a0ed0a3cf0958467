import Glibc
public import KVM

/// What this host's KVM can do, found out by trying, once for each `KVM`.
extension KVM {
    /// Which CPUID traps work on this host for code in ring 0.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    public func trapSupport() throws -> CPUIDTrapSupport {
        try finding(by: CPUIDTrapSelfTest.self) { try CPUIDTrapSelfTest.run(kvm: self) }
    }

    /// Whether Linux guests boot on this host.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    public func linuxSupport() throws -> LinuxSupport {
        try finding(by: LinuxSelfTest.self) { try LinuxSelfTest.run(kvm: self) }
    }

    /// Checks that Linux guests boot on this host.
    ///
    /// - Throws: ``LinuxSupportError`` when they do not; `KVMError` or `GuestMemoryError` when not even a throw-away
    ///   machine can be made.
    package func requireLinuxSupport() throws {
        let support = try linuxSupport()
        guard support.isComplete else { throw LinuxSupportError.cannotBoot(support) }
    }

    /// Whether the fault trap works on this host, for programs under an operating system.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    public func supportsFaultTrap() throws -> Bool {
        try faultTrapSupport().works
    }

    /// What this host has for the fault trap.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    func faultTrapSupport() throws -> FaultTrapSupport {
        try finding(by: FaultTrapSelfTest.self) { try FaultTrapSelfTest.run(kvm: self) }
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
