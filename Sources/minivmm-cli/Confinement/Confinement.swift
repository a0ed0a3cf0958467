import Boot
import CKVM
import Devices
import Glibc
import Host
import MiniVMM

/// What keeps this process from doing anything that the run does not need, should a guest, an image or a program take
/// it over.
///
/// It gets narrower in steps, each as soon as what it forbids is not needed any more:
///
/// 1. At the start, descriptors that the process was left with are closed, and it can gain no privileges.
/// 2. When the files for output are open, it can change nothing in the file system besides them (Landlock).
/// 3. When the machine is there, with devices and tracepoints open, it has no capabilities any more, and can read
///    nothing in the file system (Landlock).
/// 4. When all threads run, and before the guest does, only the system calls of a list are left (seccomp): no file,
///    socket, program or thread comes into being after that. vCPUs' threads have a shorter list.
struct Confinement: RunConfinement {
    /// What the filter lets through besides what all runs need: CKVM_MAY_*.
    private let permissions: UInt32

    /// What of it this host has, in a sentence.
    static var description: String {
        let version = ckvm_landlock_version()
        return version > 0
            ? "Runs are confined by seccomp, and their files by Landlock (interface \(version))."
            : "Runs are confined by seccomp. Their files are not: this kernel has no Landlock, or it is switched off."
    }

    /// Closes what the process was left with, but for standard input, output and error, and what its arguments name by
    /// number, as a shell's process substitution does.
    static func closeStrayDescriptors(namedIn words: [String]) {
        var next: UInt32 = 3
        for number in words.flatMap(descriptors).sorted() where number >= next {
            if number > next { _ = ckvm_close_range(next, number - 1) }
            next = number + 1
        }
        _ = ckvm_close_range(next, .max)
    }

    /// The folders in which the system names a process's descriptors.
    private static let descriptorFolders = ["/dev/fd/", "/proc/self/fd/"].map { Array($0.utf8) }

    /// The descriptors that a word names, such as `/dev/fd/63`.
    private static func descriptors(in word: String) -> [UInt32] {
        // By bytes: what `firstRange(of:)` takes at a process's start is more than all else here.
        let bytes = Array(word.utf8)
        return descriptorFolders.compactMap { folder in
            guard let place = bytes.indices.first(where: { bytes.hasBytes(folder, at: $0) }) else { return nil }
            let digits = bytes[(place + folder.count)...].prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            let number = UInt32(String(decoding: digits, as: UTF8.self))
            return number.flatMap { $0 < UInt32(Int32.max) ? $0 : nil }
        }
    }

    /// The first step of a run, before anything is opened.
    ///
    /// - Parameter isWanted: Whether there is to be a confinement; else a word on standard error says that there is none.
    static func begin(isWanted: Bool) {
        guard isWanted else {
            StandardError.write("minivmm: this run is not confined, because of --no-sandbox.\n")
            return
        }
        // Neither can fail on a Linux that has KVM as MiniVMM needs it.
        _ = ckvm_give_up_new_privileges()
    }

    /// Takes away the right to change the file system, but for outputs and devices. Where there is no Landlock, nothing
    /// changes: `minivmm doctor` says so.
    ///
    /// - Parameters:
    ///   - folders: Descriptors of further directories in which files are removed.
    ///   - shares: Folders that the guest has.
    static func keepFromWriting(
        outputs: [OutputFile], kvmDevice: String, folders: [Int32] = [], shares: [SharedFolder] = []
    ) {
        var opened: [Int32] = []
        defer { for descriptor in opened { close(descriptor) } }
        var places = Self.places(outputs, folders, shares)
        for path in ["/dev", kvmDevice] {
            let descriptor = unsafe open(ForeignText.cString(path), pathOnly | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            opened.append(descriptor)
            places.append(ckvm_landlock_place(descriptor: descriptor, takes_files: false, is_read: false))
        }
        _ = unsafe ckvm_restrict_files(true, places, places.count)
    }

    /// Where files are put at their places or removed, and the folders that the guest has.
    private static func places(
        _ outputs: [OutputFile], _ folders: [Int32], _ shares: [SharedFolder]
    ) -> [ckvm_landlock_place] {
        (outputs.compactMap(\.directory) + folders).map {
            ckvm_landlock_place(descriptor: $0, takes_files: true, is_read: false)
        }
            + shares.map {
                ckvm_landlock_place(descriptor: $0.descriptor, takes_files: !$0.isReadOnly, is_read: true)
            }
    }

    /// O_PATH, whose macro Swift does not import. Source: Linux, include/uapi/asm-generic/fcntl.h.
    private static let pathOnly: Int32 = 0o10_000_000

    /// The third step. The fourth is the machine's to call.
    ///
    /// - Parameters:
    ///   - isFlat: Whether the guest is a flat image, after whose death it may have to be found out whether this KVM
    ///     emulates ring 0.
    ///   - outputs: What is put at its place after the run.
    ///   - debugger: Where a debugger may come in.
    ///   - metrics: Where metrics go.
    ///   - devices: What the guest has besides.
    init(
        isFlat: Bool, outputs: [OutputFile], debugger: DebuggerEntrance? = nil, metrics: MetricsOutlet? = nil,
        devices: DeviceConfiguration = DeviceConfiguration()
    ) {
        let folders = outputs.compactMap(\.directory) + debugger.folders + (metrics?.folders ?? [])
        let serves = if case .socket = metrics { true } else { false }
        let creates = if case .file = metrics { true } else { false }
        let wanted: [(UInt32, Bool)] = [
            (CKVM_MAY_RENAME, !folders.isEmpty), (CKVM_MAY_TEST_KVM, isFlat), (CKVM_MAY_DEBUG, debugger != nil),
            (CKVM_MAY_USE_DISKS, !devices.disks.isEmpty), (CKVM_MAY_USE_NETWORK, !devices.networks.isEmpty),
            (CKVM_MAY_SHARE, !devices.shares.isEmpty),
            (CKVM_MAY_CHANGE_SHARES, devices.shares.contains { !$0.isReadOnly }),
            (CKVM_MAY_SERVE, serves), (CKVM_MAY_CREATE, creates),
        ]
        permissions = wanted.reduce(0) { $1.1 ? $0 | $1.0 : $0 }
    }

    /// Drops all capabilities of the calling thread and of those that it starts, and the right to read files.
    ///
    /// - Parameters:
    ///   - shares: Folders that the guest has.
    ///   - readsScheduling: Whether the threads will open what the scheduler says of them, before the last step.
    static func keepFromEverythingElse(
        outputs: [OutputFile], folders: [Int32] = [], shares: [SharedFolder] = [], readsScheduling: Bool = false
    ) {
        _ = ckvm_drop_capabilities()
        var places = Self.places(outputs, folders, shares)
        let threads =
            readsScheduling
            ? unsafe open(ForeignText.cString(ThreadSchedulingFile.folder), pathOnly | O_CLOEXEC) : -1
        defer { if threads >= 0 { close(threads) } }
        if threads >= 0 { places.append(ckvm_landlock_place(descriptor: threads, takes_files: false, is_read: true)) }
        _ = unsafe ckvm_restrict_files(false, places, places.count)
    }

    func confineProcess() throws(ResourceError) {
        try Self.check(ckvm_install_filter(CKVM_FILTER_PROCESS, permissions))
    }

    func confineVCPU() throws(ResourceError) {
        try Self.check(ckvm_install_filter(CKVM_FILTER_VCPU, 0))
    }

    private static func check(_ result: Int32) throws(ResourceError) {
        guard result >= 0 else { throw ResourceError("a filter of system calls", ErrorNumber(rawValue: 0 &- result)) }
    }
}
