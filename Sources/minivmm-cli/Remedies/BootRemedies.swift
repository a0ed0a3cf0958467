import Boot
import Host

extension MemorySizeError: CommandError {
    var remedy: String {
        switch self {
        case .tooSmall: "Give the guest more with --memory; a number without a unit counts bytes, so say 128M for MiB."
        case .tooLarge: "Give the guest less with --memory."
        case .notWholePages: "Round the size that --memory gives to KiB that 4 divides."
        }
    }

    var exitStatus: ExitStatus { .usage }
}

extension ImageError: CommandError {
    var remedy: String {
        switch self {
        case .unreadable(_, .outOfMemory): "Give a smaller file, or raise the limit that `ulimit -v` shows."
        case .unreadable: "Check the path, and the permissions with `ls -l`."
        case .shortened: "Start again when nothing writes to the file any more."
        case .notAFile: "Give the path of \(Self.accepted)."
        case .empty: "Build or download the file again."
        case .oversized: "Give a smaller file; MiniVMM boots \(Self.accepted)."
        case .unsupported(_, let format): format.remedy
        case .notBootable(_, .bzImage, _): "Use a 64-bit kernel of Linux 3.8 or later, built as a bzImage."
        case .notBootable: "Give \(Self.accepted)."
        case .damaged: "Build or download the file again, and compare its checksum with the original's."
        case .needsMoreMemory, .noMemory: "Give the guest more memory with --memory."
        case .commandLineTooLong, .commandLineHasZero: "Shorten or correct what --append gives."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .unreadable(_, .outOfMemory): .systemRefused
        case .unreadable, .shortened, .notAFile: .imageNotReadable
        case .empty, .oversized, .unsupported, .notBootable, .damaged, .needsMoreMemory, .noMemory: .imageNotAcceptable
        case .commandLineTooLong, .commandLineHasZero: .usage
        }
    }
}

extension ImageFormat {
    /// What to do about a file of this format that MiniVMM does not boot.
    var remedy: String {
        switch self {
        case .compressed:
            "Decompress it first; MiniVMM boots \(ImageError.accepted)."
        case .elf(let identity) where identity.isX8664:
            """
            Use the kernel's bzImage, or build it with CONFIG_PVH; a Linux program runs inside a guest with \
            `minivmm exec`.
            """
        case .bzImage, .multiboot, .pvhKernel, .elf, .other, .flat:
            "Give \(ImageError.accepted)."
        }
    }
}

extension FlatGuestError: CommandError {
    var remedy: String {
        switch self {
        case .emptyImage: "Give a file with the guest's code."
        case .doesNotFit: "Choose a lower --load-address, more --memory, or a smaller image."
        case .badLoadAddress:
            "Choose a --load-address from 0x500 to 0x9ffff, or from 0x100000 to the end of --memory."
        case .entryNeeded: "Give --entry SEGMENT:OFFSET, an address below 1 MiB and 64 KiB."
        case .badMemorySize: "Choose a --memory from 1M to 3G, in whole pages of 4 KiB."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .emptyImage, .doesNotFit: .imageNotAcceptable
        case .badLoadAddress, .entryNeeded, .badMemorySize: .usage
        }
    }
}
