@testable import Doctor
@testable import KVM
@testable import MiniVMM

extension HostDiagnosis {
    /// A host as it could be: with everything, but for what the parameters say.
    static func example(
        modules: [String] = ["kvm", "kvm_intel"],
        processor: String? = "Example CPU @ 2.00GHz",
        hasInvariantTSC: Bool = true,
        missing: [Capability] = [],
        traps: Result<CPUIDTrapSupport, KVMError> = .success(CPUIDTrapSupport(debug: true, patch: true, step: true)),
        debugger: DebugSupport? = DebugSupport(
            breakpoints: true, watchpoints: true, softwareBreakpoints: true, patches: true, steps: true),
        linux: LinuxSupport? = .works,
        exitCounting: ExitCounting = ExitCounting(raw: nil, classic: nil),
        tscKHz: UInt32? = 2_000_000,
        failure: KVMError? = nil
    ) -> HostDiagnosis {
        let findings = Findings(
            apiVersion: 12,
            capabilities: Capability.all.map { capability in
                let value: Int32 = missing.contains(capability) ? 0 : capability == .maximumVCPUs ? 1024 : 1
                return CapabilityFinding(capability: capability, value: value)
            },
            traps: traps,
            faultTrap: true,
            debugger: debugger,
            linux: linux,
            exitCounting: exitCounting,
            tscKHz: tscKHz
        )
        return HostDiagnosis(
            devicePath: KVM.defaultDevicePath,
            kernelRelease: "6.1.0-example",
            modules: modules,
            processor: processor,
            hasInvariantTSC: hasInvariantTSC,
            kvm: failure.map { .failure($0) } ?? .success(findings)
        )
    }
}
