import Exec
import Host

extension ExecError: CommandError {
    var remedy: String {
        switch self {
        case .programNotFound: "Check the name; give the path of a program that is not in PATH."
        case .notExecutable: "Give a program or script for x86-64 Linux, and make it executable with `chmod +x`."
        case .missing: "Install what is missing, or correct the path to it."
        case .tooMuch: "Leave out what is too much; a program of this kind does not run here."
        case .unreadable, .unreadableKernel:
            "Check the path, and the permissions with `ls -l`; `sudo chmod a+r` makes a file readable."
        case .notAFile: "Give files, directories and symbolic links only."
        case .reserved, .notAbsolute:
            "Give a place such as /data with --add SOURCE:DESTINATION or --share HOST:PATH."
        case .invalidSetting: "Write --env NAME=VALUE, or --env NAME to pass on a setting."
        case .zeroByte: "Leave the zero byte out."
        case .argumentsTooLong: "Give fewer or shorter arguments; put long ones into a file with --add."
        case .memoryTooSmall(_, let needed): "Give the guest more memory with --memory \(needed >> 20)M."
        case .file(let error): error.remedy
        case .archive(let error): error.remedy
        case .noKernel:
            """
            Give one with --kernel FILE; on Debian the package linux-image-cloud-amd64 has one, or linux-image-amd64, \
            and on Ubuntu linux-image-virtual.
            """
        case .noModules:
            """
            Give --kernel a bzImage of a distribution, whose modules are in /lib/modules; or leave out --disk, --net, \
            --share and --rng.
            """
        case .noModule:
            "Give --kernel a kernel with drivers of virtio over MMIO; or leave out --disk, --net, --share and --rng."
        case .noWindow: "Give the guest more memory with --memory."
        case .outputNotWritable: "Check where the output goes, and what space is left there."
        case .initFailed(let step, _): step.remedy
        case .unknownStatus: "Look at the kernel's log with --kernel-log."
        case .noStatus: "Look at the kernel's log with --kernel-log."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .programNotFound: .programNotFound
        case .missing, .notExecutable, .argumentsTooLong, .tooMuch: .programNotExecutable
        case .unreadable, .notAFile, .noKernel, .unreadableKernel, .noModules, .noModule: .imageNotReadable
        case .reserved, .notAbsolute, .invalidSetting, .zeroByte: .usage
        case .memoryTooSmall, .noWindow: .imageNotAcceptable
        case .file(let error): error.exitStatus
        case .archive(let error): error.exitStatus
        case .outputNotWritable: .outputNotWritable
        case .initFailed(let step, _): step.exitStatus
        case .unknownStatus, .noStatus: .guestDied
        }
    }
}

extension ExecStep {
    var remedy: String {
        switch self {
        case .mapWindow: "Use a kernel with CONFIG_DEVMEM and without lockdown, such as Debian's."
        case .readOrder, .makeProcess: "Give the guest more memory with --memory."
        case .enterDirectory: "Run this from another directory."
        case .execute: "Check that the guest's kernel runs such programs: 32-bit ones need CONFIG_IA32_EMULATION."
        case .mountShare:
            "Make the folder that it is mounted at, if that lies in another shared one; --kernel-log says more."
        case .loadModule: "Check that the modules in /lib/modules are those of the kernel; --kernel-log says more."
        case .setUpNetwork: "Check that the guest's kernel has IPv4; --kernel-log says more."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .mapWindow, .readOrder, .makeProcess, .enterDirectory, .loadModule, .setUpNetwork, .mountShare: .guestDied
        case .execute: .programNotExecutable
        }
    }
}

extension InitramfsError: CommandError {
    var remedy: String {
        switch self {
        case .invalidPath: "Give an absolute path without `.` and `..` in it."
        case .occupied: "Give each file a path of its own with --add SOURCE:DESTINATION."
        case .oversized: "Leave the file out; a file can have 4 GiB less one byte."
        }
    }

    var exitStatus: ExitStatus { .usage }
}
