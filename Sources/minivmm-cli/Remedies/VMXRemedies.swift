import Doctor
import Host

extension VMXObstacle: CommandError {
    var remedy: String {
        switch self {
        case .notIntel: "Look at the table of SVM's features, or run this on a host with an Intel processor."
        case .noVMX:
            """
            Switch virtualization on in the firmware or, inside a virtual machine, nested virtualization on its host.
            """
        case .notOffered:
            """
            On an Intel host load it anew with `sudo modprobe -r kvm_intel && sudo modprobe kvm_intel nested=1`.
            """
        }
    }

    var exitStatus: ExitStatus { .kvmUnavailable }
}

extension ProcessorMSRError: CommandError {
    var remedy: String {
        switch self {
        case .noFile: "Load the module with `sudo modprobe msr`, and run this as root."
        case .notPermitted: "Run this as root: the file is for those who have CAP_SYS_RAWIO."
        case .unusable: "Look at `dmesg | tail`."
        }
    }

    var exitStatus: ExitStatus { .kvmUnavailable }
}
