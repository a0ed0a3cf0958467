import CKVM
import Glibc

/// Facts about the host that can be had without KVM.
enum HostFacts {
    /// The kernel's release (uname(2)).
    static var kernelRelease: String {
        var name = utsname()
        guard uname(&name) == 0 else { return "unknown" }
        // Sound: uname(2) ends every field with a zero inside the field.
        return withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The modules that make /dev/kvm work, of those that are loaded or built in.
    static var kvmModules: [String] {
        ["kvm", "kvm_intel", "kvm_amd", "kvm_pvm"].filter { access("/sys/module/\($0)", F_OK) == 0 }
    }

    /// The processor's brand string. Source: Intel SDM, volume 2, CPUID, leaves 0x80000002 to 0x80000004.
    static var processorName: String? {
        let brandLeaves: ClosedRange<UInt32> = 0x8000_0002...0x8000_0004
        guard ckvm_host_cpuid(CPUIDLeaf.extendedMaximum, 0).eax >= brandLeaves.upperBound else { return nil }
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

    /// Whether the time-stamp counter is invariant.
    static var hasInvariantTSC: Bool {
        guard ckvm_host_cpuid(CPUIDLeaf.extendedMaximum, 0).eax >= CPUIDLeaf.powerManagement else { return false }
        return ckvm_host_cpuid(CPUIDLeaf.powerManagement, 0).edx & CPUIDLeaf.invariantTSCBit != 0
    }
}
