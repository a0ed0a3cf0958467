public import KVM

/// What this host's KVM can do, found out by trying, once for each `KVM`.
extension KVM {
    /// Which CPUID traps work on this host for code in ring 0.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    public func trapSupport() throws -> CPUIDTrapSupport {
        try SelfTests(self).trapSupport()
    }

    /// Whether Linux guests boot on this host.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    public func linuxSupport() throws -> LinuxSupport {
        try SelfTests(self).linuxSupport()
    }

    /// Checks that Linux guests boot on this host.
    ///
    /// - Throws: ``LinuxSupportError`` when they do not; `KVMError` or `GuestMemoryError` when not even a throw-away
    ///   machine can be made.
    package func requireLinuxSupport() throws {
        try SelfTests(self).requireLinuxSupport()
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
        try SelfTests(self).faultTrapSupport()
    }
}
