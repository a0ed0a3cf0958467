import CKVM
import Glibc

/// What on a host makes the same exits cheaper or dearer, as far as the system tells without privileges.
///
/// There is nothing in it that names the host or a part of it: neither host names nor serial numbers, nor identifiers of
/// disks.
public struct HostConditions: Hashable, Sendable {
    /// Something with a name and a value.
    public struct Setting: Hashable, Sendable {
        /// The kernel's name for it.
        public let name: String
        /// The kernel's word for its value.
        public let value: String
    }

    /// The revision of the processor's microcode.
    public var microcode: String?
    /// What the kernel says of each vulnerability of processors, and what it does about it.
    public var mitigations: [Setting] = []
    /// The parameters of KVM's modules, such as `kvm_intel.ept`.
    public var parameters: [Setting] = []
    /// What this host is a guest of; nil where it is none.
    public var hypervisor: String?
    /// The kernel's command line, without values that may name a disk or a host.
    public var commandLine: String?
    /// The governors of the processors' frequencies, each once.
    public var governors: [String] = []
    /// Whether frequencies above the nominal one are allowed.
    public var boost: Bool?
    /// Whether threads of a core share it.
    public var simultaneousMultithreading: Bool?
    /// When the kernel uses huge pages by itself: `always`, `madvise` or `never`.
    public var transparentHugePages: String?
    /// The CPUs that vCPUs were kept on, as a list; nil where they were free.
    public var pinnedCPUs: String?

    /// Nothing known.
    public init() {}
}

extension HostConditions {
    /// Those of this host, now.
    ///
    /// - Parameter root: Where the file systems /proc and /sys are, with a slash at the end.
    package init(root: String = "/") {
        let files = SystemFiles(root: root)
        microcode = Self.microcode(files)
        let vulnerabilities = "sys/devices/system/cpu/vulnerabilities"
        mitigations = files.names(in: vulnerabilities).compactMap { name in
            files.line("\(vulnerabilities)/\(name)").map { Setting(name: name, value: $0) }
        }
        parameters = HostFacts.moduleNames.flatMap { module in
            let folder = "sys/module/\(module)/parameters"
            return files.names(in: folder).compactMap { name in
                files.line("\(folder)/\(name)").map { Setting(name: "\(module).\(name)", value: $0) }
            }
        }
        hypervisor = HostFacts.hypervisorName
        commandLine = files.line("proc/cmdline").map(Self.withoutIdentifiers)
        let cpus = "sys/devices/system/cpu"
        let governors = files.names(in: cpus).filter { $0.hasPrefix("cpu") }.prefix(Self.maximumCPUCount).compactMap {
            files.line("\(cpus)/\($0)/cpufreq/scaling_governor")
        }
        self.governors = Set(governors).sorted()
        boost =
            files.line("\(cpus)/cpufreq/boost").map { $0 == "1" }
            ?? files.line("\(cpus)/intel_pstate/no_turbo").map { $0 == "0" }
        simultaneousMultithreading = files.line("\(cpus)/smt/active").map { $0 == "1" }
        // The one in use stands in brackets.
        transparentHugePages = files.line("sys/kernel/mm/transparent_hugepage/enabled").flatMap { line in
            line.split(separator: " ").first { $0.hasPrefix("[") }.map { String($0.dropFirst().dropLast()) }
        }
    }

    /// How many processors are asked for their governor.
    private static let maximumCPUCount = 1024

    /// The first processor's. Source: Linux, arch/x86/kernel/cpu/proc.c.
    private static func microcode(_ files: SystemFiles) -> String? {
        for line in files.text("proc/cpuinfo")?.split(separator: "\n").prefix(40) ?? [] {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].hasPrefix("microcode") else { continue }
            return parts[1].split(separator: " ").first.map(String.init)
        }
        return nil
    }

    /// The arguments whose values are numbers or words of the kernel's own, and matter here.
    ///
    /// Source: Linux, Documentation/admin-guide/kernel-parameters.txt.
    private static let plainArguments: Set<String> = [
        "amd_iommu", "amd_pstate", "clocksource", "default_hugepagesz", "hugepages", "hugepagesz", "idle",
        "intel_idle.max_cstate", "intel_iommu", "intel_pstate", "iommu", "irqaffinity", "isolcpus", "l1tf", "maxcpus",
        "mds", "mitigations", "nohz", "nohz_full", "preempt", "processor.max_cstate", "pti", "rcu_nocbs", "retbleed",
        "spec_rstack_overflow", "spec_store_bypass_disable", "spectre_v2", "spectre_bhi", "srbds",
        "transparent_hugepage", "tsc", "tsx", "tsx_async_abort",
    ]

    /// The command line with `…` for values that may name a disk, a host or a person, and without what is for the init
    /// program (behind `--`).
    package static func withoutIdentifiers(_ commandLine: String) -> String {
        let words = commandLine.split(separator: " ").prefix { $0 != "--" }.map { word -> String in
            guard let sign = word.firstIndex(of: "=") else { return String(word) }
            let name = word[..<sign]
            let isPlain = plainArguments.contains(String(name)) || name.hasPrefix("kvm")
            return isPlain ? String(word) : "\(name)=…"
        }
        return words.joined(separator: " ")
    }
}

/// Small files of /proc and /sys.
private struct SystemFiles {
    let root: String

    /// More than any of the files that are read has, but for lists of processors, whose start suffices.
    private static let maximumSize = 8192
    /// The most entries of a directory that are looked at.
    private static let maximumCount = 4096
    /// How much of a line is kept, in characters.
    private static let maximumLength = 512

    /// A file's text, from its start; nil where it cannot be read.
    func text(_ path: String) -> String? {
        let descriptor = unsafe ckvm_open(ForeignText.cString(root + path), O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.maximumSize)
        // Sound: the buffer has as many bytes as are asked for.
        let count = unsafe ckvm_pread(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { return nil }
        return ForeignText.text(bytes.prefix(count))
    }

    /// The first line of a file; nil where there is none, or it cannot be read.
    func line(_ path: String) -> String? {
        guard let line = text(path)?.split(separator: "\n").first else { return nil }
        return ForeignText.visible(String(line.prefix(Self.maximumLength)))
    }

    /// The names in a directory, sorted; none where there is none.
    func names(in path: String) -> [String] {
        guard let folder = unsafe opendir(ForeignText.cString(root + path)) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while names.count < Self.maximumCount, let entry = unsafe readdir(folder) {
            // Sound: the entry is valid until the next call, and its name ends with a zero inside of it.
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe ForeignText.text(bytes.prefix { $0 != 0 })
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}

/// How a thread came to run, by the kernel's scheduler.
public struct ThreadScheduling: Hashable, Sendable {
    /// Time on a processor, in nanoseconds.
    public let runNanoseconds: UInt64
    /// Time in which it could have run and waited for a processor, in nanoseconds.
    public let delayNanoseconds: UInt64
    /// How often it was put on a processor.
    public let timeSlices: UInt64

    /// The given values.
    package init(runNanoseconds: UInt64, delayNanoseconds: UInt64, timeSlices: UInt64) {
        self.runNanoseconds = runNanoseconds
        self.delayNanoseconds = delayNanoseconds
        self.timeSlices = timeSlices
    }
}

/// The scheduler's numbers of one thread, which outlive no thread.
///
/// Source: Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat".
package final class ThreadSchedulingFile: Sendable {
    private let descriptor: OwnedDescriptor

    /// Opens those of the calling thread; nil where the kernel keeps none.
    package init?() {
        let number = unsafe ckvm_open("/proc/thread-self/schedstat", O_RDONLY)
        guard number >= 0 else { return nil }
        descriptor = OwnedDescriptor(takingOver: number)
    }

    /// The directory that has the files of all threads, for a confinement that leaves them to be opened.
    package static let folder = "/proc/self/task"

    /// What they are now.
    package func read() -> ThreadScheduling? {
        let numbers = DecimalFile.numbers(descriptor.number)
        guard numbers.count >= 3 else { return nil }
        return ThreadScheduling(runNanoseconds: numbers[0], delayNanoseconds: numbers[1], timeSlices: numbers[2])
    }
}

/// What hypervisors have taken from this host, if it is a guest.
///
/// Source: proc_stat(5): `steal`, the eighth number of the line `cpu`, in ticks of which there are a hundred a second.
package final class StolenTimeFile: Sendable {
    private let descriptor: OwnedDescriptor

    /// Opens it; nil where there is no /proc.
    package init?() {
        let number = unsafe ckvm_open("/proc/stat", O_RDONLY)
        guard number >= 0 else { return nil }
        descriptor = OwnedDescriptor(takingOver: number)
    }

    private static let index = 7
    private static let nanosecondsPerTick: UInt64 = 10_000_000

    /// Nanoseconds of all processors since the host was started.
    package var nanoseconds: UInt64? {
        let numbers = DecimalFile.numbers(descriptor.number)
        guard numbers.count > Self.index else { return nil }
        return numbers[Self.index] &* Self.nanosecondsPerTick
    }
}

/// A file with decimal numbers.
private enum DecimalFile {
    private static let size = 512

    /// The numbers of the first line, from its start; words are passed over.
    static func numbers(_ descriptor: Int32) -> [UInt64] {
        var bytes = [UInt8](repeating: 0, count: size)
        // Sound: the buffer has as many bytes as are asked for.
        let count = unsafe ckvm_pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return [] }
        let line = bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }
        return line.split(separator: UInt8(ascii: " ")).compactMap { UInt64(String(decoding: $0, as: UTF8.self)) }
    }
}
