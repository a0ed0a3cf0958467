import CKVM
import Glibc

/// The host that guests run on, as far as it says so itself.
public struct HostDescription: Hashable, Sendable {
    /// The processor's own name for itself, where it has one.
    public var processor: String?
    /// The kernel's release, such as `6.1.0-30-amd64`.
    public var kernelRelease: String
    /// The KVM modules that are loaded or built in, such as `kvm_intel`.
    public var modules: [String]
    /// Whether the time-stamp counter runs at the same rate in all power states.
    public var hasInvariantTSC: Bool

    /// The host of this process.
    public static var current: HostDescription {
        HostDescription(
            processor: HostFacts.processorName, kernelRelease: HostFacts.kernelRelease, modules: HostFacts.kvmModules,
            hasInvariantTSC: HostFacts.hasInvariantTSC)
    }
}

/// Facts about the host that can be had without KVM.
package enum HostFacts {
    /// The kernel's release (uname(2)).
    package static var kernelRelease: String {
        var name = utsname()
        guard unsafe uname(&name) == 0 else { return "unknown" }
        // Sound: uname(2) ends every field with a zero inside the field.
        return unsafe withUnsafeBytes(of: &name.release) {
            unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// The modules that make /dev/kvm work, of those that are loaded or built in.
    package static var kvmModules: [String] {
        moduleNames.filter { unsafe access("/sys/module/\($0)", F_OK) == 0 }
    }

    /// The modules that there can be.
    static let moduleNames = ["kvm", "kvm_intel", "kvm_amd", "kvm_pvm"]

    /// What this host is a guest of: a name for the signature in CPUID leaf 0x40000000, or the signature; nil where the
    /// processor says that there is no hypervisor.
    ///
    /// Source: Intel SDM, volume 2, CPUID, leaf 1, ECX bit 31; Linux, arch/x86/kernel/cpu/hypervisor.c and what it lists.
    package static var hypervisorName: String? {
        guard ckvm_host_cpuid(1, 0).ecx >> 31 & 1 == 1 else { return nil }
        let result = ckvm_host_cpuid(Leaf.hypervisor, 0)
        let bytes = [result.ebx, result.ecx, result.edx].flatMap { register in
            (0..<4).map { UInt8(truncatingIfNeeded: register >> (8 * $0)) }
        }
        let signature = ForeignText.visible(ForeignText.text(bytes.prefix { $0 != 0 }))
        return hypervisors[signature] ?? (signature.isEmpty ? "unknown" : signature)
    }

    private static let hypervisors = [
        "KVMKVMKVM": "KVM", "Microsoft Hv": "Hyper-V", "VMwareVMware": "VMware", "XenVMMXenVMM": "Xen",
        "TCGTCGTCGTCG": "QEMU (TCG)", "bhyve bhyve ": "bhyve", "ACRNACRNACRN": "ACRN", "Jailhouse": "Jailhouse",
    ]

    /// The leaves that hold the processor's brand string.
    package static let brandLeaves: ClosedRange<UInt32> = 0x8000_0002...0x8000_0004

    /// The processor's brand string. Source: Intel SDM, volume 2, CPUID, leaves 0x80000002 to 0x80000004.
    package static var processorName: String? {
        guard ckvm_host_cpuid(Leaf.extendedMaximum, 0).eax >= brandLeaves.upperBound else { return nil }
        var bytes: [UInt8] = []
        for leaf in brandLeaves {
            let result = ckvm_host_cpuid(leaf, 0)
            for register in [result.eax, result.ebx, result.ecx, result.edx] {
                bytes += (0..<4).map { UInt8(truncatingIfNeeded: register >> (8 * $0)) }
            }
        }
        let name = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        let words = name.split(separator: " ")
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    /// The processor's maker, in the twelve characters that CPUID has, such as `GenuineIntel`.
    package static var processorVendor: String {
        let result = ckvm_host_cpuid(0, 0)
        let bytes = [result.ebx, result.edx, result.ecx].flatMap { register in
            (0..<4).map { UInt8(truncatingIfNeeded: register >> (8 * $0)) }
        }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Whether the processor has VMX. Source: Intel SDM, volume 2, CPUID, leaf 1, ECX bit 5.
    package static var hasVMX: Bool { ckvm_host_cpuid(1, 0).ecx >> 5 & 1 == 1 }

    /// The registers of CPUID leaf 0x8000000A, SVM's features; nil where the processor has no SVM.
    ///
    /// Source: AMD APM, volume 3, appendix E, leaf 0x80000001, ECX bit 2.
    package static var svmLeaf: (eax: UInt32, ebx: UInt32, edx: UInt32)? {
        guard ckvm_host_cpuid(Leaf.extendedMaximum, 0).eax >= Leaf.svmFeatures,
            ckvm_host_cpuid(Leaf.extendedFeatures, 0).ecx >> 2 & 1 == 1
        else { return nil }
        let result = ckvm_host_cpuid(Leaf.svmFeatures, 0)
        return (result.eax, result.ebx, result.edx)
    }

    /// Whether the time-stamp counter is invariant.
    package static var hasInvariantTSC: Bool {
        guard ckvm_host_cpuid(Leaf.extendedMaximum, 0).eax >= Leaf.powerManagement else { return false }
        return ckvm_host_cpuid(Leaf.powerManagement, 0).edx & Leaf.invariantTSCBit != 0
    }

    /// The leaves of the host's CPUID that are read. Source: Intel SDM, volume 2, CPUID.
    private enum Leaf {
        static let extendedMaximum: UInt32 = 0x8000_0000
        static let extendedFeatures: UInt32 = 0x8000_0001
        static let svmFeatures: UInt32 = 0x8000_000A
        static let powerManagement: UInt32 = 0x8000_0007
        static let hypervisor: UInt32 = 0x4000_0000
        /// EDX bit 8: the time-stamp counter runs at a constant rate in all power states.
        static let invariantTSCBit: UInt32 = 1 << 8
    }
}
