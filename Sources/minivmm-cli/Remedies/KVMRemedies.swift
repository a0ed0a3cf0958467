import Host
import KVM

extension KVMError: CommandError {
    var remedy: String {
        switch self {
        case .deviceNotFound:
            """
            Load the module with `modprobe kvm-intel` or `modprobe kvm-amd`, and switch virtualization on in the \
            firmware or, inside a virtual machine, nested virtualization on its host.
            """
        case .permissionDenied(let path, _):
            "Join the group that owns \(path), usually with `sudo usermod -aG kvm $USER`, and log in again."
        case .deviceUnusable:
            """
            Check with `dmesg | grep -i kvm` that virtualization is on in the firmware and that no other hypervisor \
            holds the processor.
            """
        case .notKVM:
            "Give --kvm-device the path of a KVM device, usually /dev/kvm."
        case .wrongAPIVersion:
            "Run a kernel whose KVM API is version 12: every stock Linux since 2.6.22."
        case .missingCapability:
            "Run a newer kernel; `minivmm doctor` lists what MiniVMM uses."
        case .ioctl:
            "Run `minivmm doctor` to see what this KVM offers, and `dmesg | tail` for the kernel's own words."
        case .outOfResources:
            ResourceError.remedyForAll
        case .malformedStatistics:
            "Report it to the MiniVMM project with the kernel's version."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .deviceNotFound, .permissionDenied, .deviceUnusable, .notKVM, .wrongAPIVersion, .missingCapability:
            .kvmUnavailable
        case .ioctl, .malformedStatistics:
            .internalFault
        case .outOfResources:
            .systemRefused
        }
    }
}
