public import Host
public import KVM
import Memory
public import MiniVMM

/// What this host offers to MiniVMM: what `minivmm doctor` shows.
public struct HostDiagnosis: Sendable {
    /// A capability and what KVM answers for it.
    public struct CapabilityFinding: Hashable, Sendable {
        /// The capability.
        public let capability: Capability
        /// What KVM_CHECK_EXTENSION answers; 0 when it is missing.
        public let value: Int32
    }

    /// What can be known only with an open device.
    public struct Findings: Sendable {
        /// The version of KVM's API.
        public let apiVersion: Int32
        /// The capabilities that MiniVMM uses.
        public let capabilities: [CapabilityFinding]
        /// Which CPUID traps work, or why that could not be tried.
        public let traps: Result<CPUIDTrapSupport, KVMError>
        /// Whether the fault trap works, for programs under an operating system.
        public let faultTrap: Bool
        /// What a debugger can use for code in ring 0; nil when that could not be tried.
        package let debugger: DebugSupport?
        /// Whether Linux guests boot; nil when that could not be tried.
        public let linux: LinuxSupport?
        /// Whether every exit can be counted by reason.
        public let exitCounting: ExitCounting
        /// The frequency of the time-stamp counter in kHz, where KVM tells.
        public let tscKHz: UInt32?
    }

    /// The device file.
    public let devicePath: String
    /// The kernel's release, such as `6.1.0-30-amd64`.
    public let kernelRelease: String
    /// The KVM modules that are loaded or built in, such as `kvm_intel`.
    public let modules: [String]
    /// The processor's own name for itself, where it has one.
    public let processor: String?
    /// Whether the time-stamp counter runs at the same rate in all power states.
    public let hasInvariantTSC: Bool
    /// What KVM says, or why it could not be asked.
    public let kvm: Result<Findings, KVMError>

    /// Whether MiniVMM can run guests here.
    public var isUsable: Bool { problems.isEmpty }

    /// What keeps MiniVMM from running guests here.
    public var problems: [any DiagnosticError] {
        switch kvm {
        case .failure(let error):
            return [error]
        case .success(let findings):
            let missing = findings.capabilities
                .filter { $0.value == 0 && Capability.required.contains($0.capability) }
                .map { KVMError.missingCapability($0.capability) }
            if case .failure(let error) = findings.traps { return missing + [error] }
            return missing
        }
    }

    /// What works less well here than it could, and what to do about it: one sentence each.
    public var hints: [String] {
        guard case .success(let findings) = kvm else { return [] }
        var hints: [String] = []
        let missing = findings.capabilities.filter { $0.value == 0 && !Capability.required.contains($0.capability) }
        if !missing.isEmpty {
            hints.append("A newer kernel has \(missing.map(\.capability.name).joined(separator: ", ")).")
        }
        if case .success(let traps) = findings.traps, !traps.debug {
            hints.append("Debug registers do not stop guests here; patched sites take their place.")
        }
        if !hasInvariantTSC {
            hints.append("The time-stamp counter is not invariant: read cycles as cycles, not as time.")
        }
        return hints
    }
}

extension HostDiagnosis {
    /// Finds out. It makes a throw-away virtual machine, and changes nothing.
    public init(devicePath: String = KVM.defaultDevicePath) {
        let kvm: Result<Findings, KVMError>
        do throws(KVMError) {
            kvm = .success(Findings(of: try KVM(path: devicePath)))
        } catch {
            kvm = .failure(error)
        }
        self.init(
            devicePath: devicePath,
            kernelRelease: HostFacts.kernelRelease,
            modules: HostFacts.kvmModules,
            processor: HostFacts.processorName,
            hasInvariantTSC: HostFacts.hasInvariantTSC,
            kvm: kvm
        )
    }
}

extension HostDiagnosis.Findings {
    /// Asks an open KVM.
    package init(of kvm: KVM) {
        apiVersion = kvm.apiVersion
        capabilities = Capability.all.map { .init(capability: $0, value: kvm.value(of: $0)) }
        do {
            traps = .success(try kvm.trapSupport())
        } catch let error as KVMError {
            traps = .failure(error)
        } catch {
            // Memory is all else that the self-test asks for.
            traps = .failure(.outOfResources(name: "the self-test", .outOfMemory))
        }
        faultTrap = (try? kvm.supportsFaultTrap()) ?? false
        debugger = try? kvm.debugSupport()
        linux = try? kvm.linuxSupport()
        exitCounting = ExitCounting(of: kvm)
        tscKHz = try? Self.tscFrequency(kvm)
    }

    /// The frequency that a vCPU of a throw-away machine has.
    private static func tscFrequency(_ kvm: KVM) throws -> UInt32? {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: GuestMemory.pageSize)])
        return try VirtualMachine(kvm: kvm, memory: memory).makeVCPU(id: 0).tscKHz
    }
}
