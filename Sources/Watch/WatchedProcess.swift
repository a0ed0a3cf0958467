import CKVM
import Glibc
import Host
import Tracepoints

/// A process with vCPUs, found by what it has open.
///
/// Source: Linux, virt/kvm/kvm_main.c: the names of the anonymous inodes of machines and vCPUs, and of the folders of
/// machines in debugfs.
package struct WatchedProcess: Sendable, ~Copyable {
    /// Its number.
    package let number: Int32
    /// What it is called, control characters made visible.
    package let name: String
    /// The numbers of its vCPUs, each once, in ascending order: those that it gave to KVM_CREATE_VCPU.
    package let vcpus: [Int]
    /// How many machines it has.
    package let machineCount: Int
    /// What KVM counts of its machines.
    let statistics: MachineStatisticsFiles
    /// Can be read from when the process has ended.
    let end: OwnedDescriptor

    /// Looks at a process.
    ///
    /// - Parameter number: Its number, or that of one of its threads.
    /// - Throws: ``WatchError``.
    package init(_ number: Int32) throws(WatchError) {
        guard let process = ProcessFile.process(ofThread: number) else { throw .noSuchProcess(number) }
        let result = ckvm_pidfd(process)
        guard result >= 0 else { throw .noSuchProcess(number) }
        let end = OwnedDescriptor(takingOver: result)
        let name = Self.visible(ProcessFile.status("Name", of: process) ?? "?")
        let files: [OpenFile]
        do throws(ErrorNumber) {
            files = try OpenFile.all(of: process)
        } catch {
            throw error == .noSuchFile ? .noSuchProcess(number) : .notPermitted(process: process, error)
        }
        let vcpus = Set(files.compactMap(\.vcpu)).sorted()
        guard !vcpus.isEmpty else { throw .noVCPUs(process: process, name: name) }
        let machines = files.filter(\.isMachine).map(\.descriptor)
        self.number = process
        self.name = name
        self.vcpus = vcpus
        machineCount = machines.count
        statistics = MachineStatisticsFiles(process: process, machines: machines)
        self.end = end
    }

    /// Whether it has ended.
    var hasEnded: Bool {
        var wanted = pollfd(fd: end.number, events: Int16(POLLIN), revents: 0)
        return unsafe ckvm_poll(&wanted, 1, 0, 0) > 0
    }

    /// A name without what moves a terminal's cursor.
    private static func visible(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "?" : $0 }))
    }
}

/// A file that a process has open.
struct OpenFile: Hashable, Sendable {
    /// Its descriptor in that process.
    let descriptor: Int32
    /// What it is, as its link in /proc says.
    let target: String

    /// The number of the vCPU that it is, if it is one.
    var vcpu: Int? {
        let prefix = "anon_inode:kvm-vcpu:"
        guard target.hasPrefix(prefix), let number = UInt16(target.dropFirst(prefix.count)) else { return nil }
        return Int(number)
    }

    /// Whether it is a machine of KVM's.
    var isMachine: Bool { target == "anon_inode:kvm-vm" }

    /// All that a process has open.
    ///
    /// - Throws: Why the folder or what is in it cannot be read: the names take other rights than what they lead to.
    static func all(of process: Int32) throws(ErrorNumber) -> [OpenFile] {
        let folder = "/proc/\(process)/fd"
        var files: [OpenFile] = []
        for name in try Folder.names(in: folder) {
            guard let descriptor = Int32(name) else { continue }
            do throws(ErrorNumber) {
                files.append(OpenFile(descriptor: descriptor, target: try Folder.link("\(folder)/\(name)")))
            } catch {
                // One that was closed meanwhile is none.
                guard error == .noSuchFile else { throw error }
            }
        }
        return files
    }
}

/// KVM's statistic `exits` of a process's machines, in a debugfs that is mounted already.
struct MachineStatisticsFiles: Hashable, Sendable {
    private static let folder = "/sys/kernel/debug/kvm"
    private let paths: [String]
    /// How many machines there are.
    private let count: Int

    /// Looks for the folders of machines: they are called by the thread that made the machine, and the descriptor.
    ///
    /// - Parameters:
    ///   - process: The process.
    ///   - machines: The machines' descriptors there.
    init(process: Int32, machines: [Int32]) {
        let threads = (try? Folder.names(in: "/proc/\(process)/task")) ?? []
        let wanted = Set(threads.flatMap { thread in machines.map { "\(thread)-\($0)" } })
        let found = (try? Folder.names(in: Self.folder)) ?? []
        paths = found.filter(wanted.contains).sorted().map { "\(Self.folder)/\($0)/exits" }
        count = machines.count
    }

    /// The sum over all machines and their vCPUs; nil where one cannot be read.
    var exits: UInt64? {
        guard count > 0, paths.count == count else { return nil }
        var sum: UInt64 = 0
        for path in paths {
            guard let bytes = SmallFile.read(path) else { return nil }
            let digits = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            guard let exits = UInt64(digits) else { return nil }
            sum &+= exits
        }
        return sum
    }
}

/// Folders of the kernel's file systems.
enum Folder {
    /// The names in a folder, `.` and `..` included.
    ///
    /// - Throws: Why it cannot be read.
    static func names(in path: String) throws(ErrorNumber) -> [String] {
        guard let folder = unsafe opendir(path) else { throw ErrorNumber(rawValue: errno) }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        errno = 0
        while let entry = unsafe readdir(folder) {
            // Sound: d_name ends with a zero, and lives until the next readdir(3).
            names.append(
                unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
            errno = 0
        }
        guard errno == 0 else { throw ErrorNumber(rawValue: errno) }
        return names
    }

    /// Where a symbolic link leads.
    ///
    /// - Throws: Why it cannot be read.
    static func link(_ path: String) throws(ErrorNumber) -> String {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        // Sound: readlink writes at most as many bytes as the array has.
        let count = unsafe readlink(path, &bytes, bytes.count)
        guard count >= 0 else { throw ErrorNumber(rawValue: errno) }
        return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
