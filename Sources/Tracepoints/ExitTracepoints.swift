import CKVM
import Glibc
import Host

/// Counts all exits of vCPU threads, those that KVM settles itself included, by programs at KVM's tracepoints.
///
/// Everything lasts as long as this object, or as the process: the kernel takes programs and maps away when their
/// descriptors are closed, however that comes about.
///
/// Reading takes no system call: the slots are mapped. Any thread may read.
// Safe to use: the map is mapped for as long as this object lives, and every index is checked.
@safe
package final class ExitTracepoints: Sendable {
    /// How the programs are attached.
    package enum Method: String, CaseIterable, Sendable {
        /// Raw tracepoints: CAP_BPF and CAP_PERFMON suffice.
        case raw
        /// Perf events of the classic tracepoints: root.
        case classic
    }

    /// How the programs are attached.
    package let method: Method
    /// Whose numbers the reasons are; nil where only an exit will tell.
    package let processorExtension: ProcessorExtension
    /// How many threads there is room for.
    package let threadCount: Int

    /// Whether there is a slot for lost exits, behind all others.
    private let countsLost: Bool
    private let threads: OwnedDescriptor
    /// The map of places, where they are kept: one of ``programs``.
    private let placeMap: Int32?
    private let slots: OwnedDescriptor
    private let ring: ExitRing?
    /// Whether exits are kept one by one.
    package var keepsEvents: Bool { ring != nil }
    /// Programs and their attachments: closed when the object goes.
    private let programs = DescriptorList()
    /// Sound to share between threads: the address never changes, and the numbers behind it are read one by one.
    private nonisolated(unsafe) let mapping: UnsafeRawPointer
    private let mappingSize: Int

    /// Attaches the programs.
    ///
    /// - Parameters:
    ///   - method: How; nil for what works, raw tracepoints first.
    ///   - threadCount: How many threads are to be counted; of another process, more than the maximum number of its vCPUs.
    ///   - process: Another process, whose threads need not be added: each counts in the place of its vCPU's number. Nil
    ///     for this process.
    ///   - placeCapacity: How many places that exits come from are kept at most; nil to leave them out.
    ///   - ringCapacity: How many exits to keep one by one of each thread, the last ones that KVM settled; nil for none.
    /// - Throws: ``TracepointError``.
    package convenience init(
        method: Method? = nil, threadCount: Int, process: Int32? = nil, placeCapacity: Int? = nil,
        ringCapacity: Int? = nil
    ) throws(TracepointError) {
        let kept = Kept(placeCapacity: placeCapacity, ringCapacity: ringCapacity)
        guard let method else {
            do {
                try self.init(using: .raw, threadCount: threadCount, process: process, keeping: kept)
            } catch {
                // What the better way lacks is what is told, unless the other way fails for another reason.
                do {
                    try self.init(
                        using: .classic, threadCount: threadCount, process: process, keeping: kept)
                } catch let other {
                    throw other.isPermission ? error : other
                }
            }
            return
        }
        try self.init(using: method, threadCount: threadCount, process: process, keeping: kept)
    }

    /// What is kept besides the counts.
    private struct Kept {
        let placeCapacity: Int?
        let ringCapacity: Int?
    }

    private init(
        using method: Method, threadCount: Int, process: Int32?, keeping kept: Kept
    ) throws(TracepointError) {
        self.method = method
        self.threadCount = threadCount
        processorExtension = Self.hostExtension
        try Self.checkDescriptions(for: method)
        ckvm_bpf_raise_memory_limit()
        countsLost = process != nil
        let slotCount = threadCount * ExitReasonIndex.count + (countsLost ? 1 : 0)
        slots = try Self.makeMap(
            BPF_MAP_TYPE_ARRAY, valueSize: UInt32(ExitSlot.size), entries: UInt32(slotCount),
            flags: UInt32(BPF_F_MMAPABLE), "minivmm_slots")
        // Threads of another process come and go, and stay in the map.
        threads = try Self.makeMap(
            BPF_MAP_TYPE_HASH, valueSize: ExitPrograms.Thread.size,
            entries: UInt32(process == nil ? threadCount : 2 * threadCount + 64), flags: 0, "minivmm_threads")
        placeMap = try Self.makePlaceMap(kept.placeCapacity, owner: programs)
        ring = try kept.ringCapacity.map { capacity throws(TracepointError) in
            try ExitRing(capacity: capacity, threadCount: threadCount)
        }
        let (access, vcpuNumber) = try Self.access(method, Self.hostExtension, needsVCPUNumber: process != nil)
        let code = ExitPrograms(
            access: access, process: try Self.process(process),
            newcomers: vcpuNumber.map { .init(vcpuNumber: $0, placeCount: Int32(threadCount)) },
            threadMap: threads.number, slotMap: slots.number, placeMap: placeMap, ring: ring)
        try Self.attach(code, method, owner: programs)

        let size = (slotCount * ExitSlot.size + Self.pageSize - 1) / Self.pageSize * Self.pageSize
        var address: UnsafeRawPointer?
        let result = unsafe ckvm_map_readable(slots.number, size, &address)
        guard result >= 0, let address = unsafe address else {
            throw .refused(call: "mmap of the counts", ErrorNumber(rawValue: 0 &- result))
        }
        unsafe mapping = address
        mappingSize = size
    }

    deinit {
        unsafe munmap(UnsafeMutableRawPointer(mutating: mapping), mappingSize)
    }

    private static let pageSize = 4096

    /// The extension of the host's processor: which of KVM's modules is there.
    private static var hostExtension: ProcessorExtension {
        unsafe Glibc.access("/sys/module/kvm_amd", F_OK) == 0 ? .svm : .vmx
    }

    // MARK: Threads

    /// Counts a thread's exits from now on. Called before the thread enters its guest.
    ///
    /// - Parameters:
    ///   - thread: The thread's number, as gettid(2) has it.
    ///   - index: The place that it counts in: less than ``threadCount``.
    /// - Throws: ``TracepointError``.
    package func add(thread: Int32, as index: Int) throws(TracepointError) {
        precondition((0..<threadCount).contains(index))
        var key = thread
        var value = [UInt8](repeating: 0, count: Int(ExitPrograms.Thread.size))
        let first = UInt32(index * ExitReasonIndex.count)
        let ringFirst = UInt32(index * (ring?.capacity ?? 0))
        for byte in 0..<4 {
            value[Int(ExitPrograms.Thread.first) + byte] = UInt8(truncatingIfNeeded: first >> (8 * UInt32(byte)))
            value[Int(ExitPrograms.Thread.ringFirst) + byte] =
                UInt8(truncatingIfNeeded: ringFirst >> (8 * UInt32(byte)))
        }
        // Sound: key and value are as long as the map was made for.
        let result = unsafe ckvm_bpf_update(threads.number, &key, value)
        guard result >= 0 else {
            throw .refused(call: "BPF_MAP_UPDATE_ELEM", ErrorNumber(rawValue: 0 &- result))
        }
    }

    // MARK: Reading

    /// What was counted so far for a thread and a reason.
    package func slot(thread: Int, reason: Int) -> ExitSlot {
        // Sound: the slot was checked to be inside the mapping, and any bytes are a valid slot. The programs may be
        // writing: each number is a recent one.
        unsafe mapping.loadUnaligned(fromByteOffset: offset(thread, reason), as: ExitSlot.self)
    }

    /// Exits so far for a thread and a reason: one number.
    package func count(thread: Int, reason: Int) -> UInt64 {
        // Sound: as above; the count comes first.
        unsafe mapping.load(fromByteOffset: offset(thread, reason), as: UInt64.self)
    }

    /// The histogram of a thread and a reason, see ``ExitSlot/bucketCount``.
    package func histogram(thread: Int, reason: Int) -> [UInt64] {
        let start = offset(thread, reason) + Int(ExitSlot.Offset.histogram)
        // Sound: as above; the histogram is the rest of the slot.
        return (0..<ExitSlot.bucketCount).map { unsafe mapping.load(fromByteOffset: start + 8 * $0, as: UInt64.self) }
    }

    /// Whether places are kept.
    package var keepsPlaces: Bool { placeMap != nil }

    /// The places that exits came from, of all threads. For when they have ended: a system call for each.
    package func takePlaces() -> [ExitPlace] {
        guard let placeMap else { return [] }
        var result: [ExitPlace] = []
        var key = [UInt64](repeating: 0, count: ExitPlace.keySize / 8)
        var value = [UInt64](repeating: 0, count: ExitPlace.valueSize / 8)
        var next = key
        // Sound: keys and values are as long as the map was made for.
        var status = unsafe ckvm_bpf_next_key(placeMap, nil, &next)
        while status >= 0 {
            key = next
            if unsafe ckvm_bpf_look_up(placeMap, key, &value) >= 0, let place = ExitPlace(key: key, value: value) {
                result.append(place)
            }
            status = unsafe ckvm_bpf_next_key(placeMap, key, &next)
        }
        return result
    }

    /// How many exits of a thread found no room among the places.
    package func lostPlaces(ofThread thread: Int32) -> UInt64 {
        var key = thread
        var value = [UInt64](repeating: 0, count: Int(ExitPrograms.Thread.size) / 8)
        // Sound: as above.
        guard unsafe ckvm_bpf_look_up(threads.number, &key, &value) >= 0 else { return 0 }
        return value[Int(ExitPrograms.Thread.lost) / 8]
    }

    /// Exits of another process that had no place: of vCPUs whose numbers are too large, or of too many threads.
    package var lostExits: UInt64 {
        guard countsLost else { return 0 }
        // Sound: as above; the slot for lost exits comes last, and its count first.
        return unsafe mapping.load(
            fromByteOffset: threadCount * ExitReasonIndex.count * ExitSlot.size, as: UInt64.self)
    }

    /// The exits of a thread that KVM settled, one by one: the last ones, the oldest first, and how many there were
    /// besides. None unless they are kept. Only when the thread has ended.
    ///
    /// - Parameters:
    ///   - thread: The thread's number, as gettid(2) has it.
    ///   - index: The place that it counted in.
    package func events(thread: Int32, as index: Int) -> (kept: [KernelExitEvent], lostCount: UInt64) {
        guard let ring else { return ([], 0) }
        var key = thread
        var value = [UInt64](repeating: 0, count: Int(ExitPrograms.Thread.size) / 8)
        // Sound: as above.
        guard unsafe ckvm_bpf_look_up(threads.number, &key, &value) >= 0 else { return ([], 0) }
        let count = value[Int(ExitPrograms.Thread.ringCount) / 8]
        let kept = ring.events(thread: index, count: count)
        return (kept, count &- UInt64(kept.count))
    }

    private func offset(_ thread: Int, _ reason: Int) -> Int {
        precondition((0..<threadCount).contains(thread) && (0..<ExitReasonIndex.count).contains(reason))
        return (thread * ExitReasonIndex.count + reason) * ExitSlot.size
    }
}

// MARK: Attaching

extension ExitTracepoints {
    static func makeMap(
        _ type: bpf_map_type, valueSize: UInt32, entries: UInt32, flags: UInt32, _ name: String
    ) throws(TracepointError) -> OwnedDescriptor {
        let result = unsafe ckvm_bpf_create_map(
            type.rawValue, UInt32(MemoryLayout<UInt32>.size), valueSize, entries, flags, name)
        guard result >= 0 else { throw error("BPF_MAP_CREATE", result) }
        return OwnedDescriptor(takingOver: result)
    }

    private static func makePlaceMap(
        _ capacity: Int?, owner: DescriptorList
    ) throws(TracepointError) -> Int32? {
        guard let capacity else { return nil }
        let result = unsafe ckvm_bpf_create_map(
            BPF_MAP_TYPE_HASH.rawValue, UInt32(ExitPlace.keySize), UInt32(ExitPlace.valueSize),
            UInt32(clamping: max(1, capacity)), 0, "minivmm_places")
        guard result >= 0 else { throw error("BPF_MAP_CREATE", result) }
        owner.add(result)
        return result
    }

    private static func error(_ call: String, _ result: Int32) -> TracepointError {
        let number = ErrorNumber(rawValue: 0 &- result)
        guard number == .notPermitted || number == .accessDenied else { return .refused(call: call, number) }
        return .notPermitted(call: call, number, .current(isPerfEvent: call.hasPrefix("perf_event_open")))
    }

    /// Checks for the descriptions that a method goes by, before anything is asked for that takes rights: those alone
    /// would not help where they are missing.
    private static func checkDescriptions(for method: Method) throws(TracepointError) {
        switch method {
        case .raw: guard unsafe Glibc.access(typesPath, R_OK) == 0 else { throw .noTypes }
        case .classic: _ = try TraceFileSystem()
        }
    }

    /// The kernel's own types.
    private static let typesPath = "/sys/kernel/btf/vmlinux"

    /// Whose threads are counted, in the words of the kernel.
    private static func process(_ process: Int32?) throws(TracepointError) -> ExitPrograms.Process {
        let own = try namespace(of: 0)
        // In the initial namespace every process has a number.
        guard own.inode != initialNamespace else {
            return ExitPrograms.Process(number: process ?? getpid(), namespace: nil)
        }
        guard let process else { return ExitPrograms.Process(number: getpid(), namespace: own) }
        // The kernel compares with a thread's own namespace, which may be within this process's.
        let innermost = ProcessFile.innermostNumber(of: process) ?? process
        return ExitPrograms.Process(number: innermost, namespace: try namespace(of: process))
    }

    /// The namespace of process ids that a process is in.
    ///
    /// - Parameter process: 0 for this process.
    private static func namespace(of process: Int32) throws(TracepointError) -> (device: UInt64, inode: UInt64) {
        var (device, inode): (UInt64, UInt64) = (0, 0)
        let result = unsafe ckvm_pid_namespace(process, &device, &inode)
        guard result >= 0 else { throw error("stat of /proc/\(process == 0 ? "self" : "\(process)")/ns/pid", result) }
        return (device, inode)
    }

    /// The inode of the initial namespace of process ids. Source: Linux, include/linux/proc_ns.h, PROC_PID_INIT_INO.
    private static let initialNamespace: UInt64 = 0xEFFF_FFFC

    /// How the programs get at what the tracepoints tell, and at the number of the vCPU where that is needed.
    private static func access(
        _ method: Method, _ processorExtension: ProcessorExtension, needsVCPUNumber: Bool
    ) throws(TracepointError) -> (ExitPrograms.Access, vcpuNumber: Int32?) {
        switch method {
        case .classic:
            let files = try TraceFileSystem()
            for tracepoint in ExitPrograms.Tracepoint.counting { _ = try files.number(of: tracepoint.rawValue) }
            let layout = ExitPrograms.RecordLayout(
                reason: try files.offset(of: "exit_reason", in: "kvm_exit", size: 4),
                extensionNumber: try files.offset(of: "isa", in: "kvm_exit", size: 4),
                info1: try files.offset(of: "info1", in: "kvm_exit", size: 8),
                nanoseconds: try files.offset(of: "ns", in: "kvm_vcpu_wakeup", size: 8),
                error: try files.offset(of: "errno", in: "kvm_userspace_exit", size: 4),
                address: try? files.offset(of: "guest_rip", in: "kvm_exit", size: 8),
                details: details(files), subleaf: try? files.offset(of: "index", in: "kvm_cpuid", size: 4))
            let vcpuNumber = needsVCPUNumber ? try files.offset(of: "vcpu_id", in: "kvm_exit", size: 4) : nil
            return (.classic(layout), vcpuNumber.map(Int32.init))
        case .raw:
            let offsets = try memberOffsets(processorExtension)
            // Before Linux 5.11 the kernel does not describe its modules' types.
            if needsVCPUNumber, offsets.vcpuNumber == nil { throw .noTypes }
            return (.raw(processorExtension, offsets.reason), needsVCPUNumber ? offsets.vcpuNumber : nil)
        }
    }

    /// What tells what exits are about; a record that has changed tells nothing.
    private static func details(_ files: borrowing TraceFileSystem) -> [ExitPrograms.Tracepoint: Int16] {
        let fields: [(ExitPrograms.Tracepoint, field: String, size: Int)] = [
            (.msr, "ecx", 4), (.cpuid, "function", 4), (.port, "port", 4), (.mmio, "gpa", 8),
            (.pageFault, "fault_address", 8),
        ]
        var offsets: [ExitPrograms.Tracepoint: Int16] = [:]
        for (tracepoint, field, size) in fields {
            offsets[tracepoint] = try? files.offset(of: field, in: tracepoint.rawValue, size: size)
        }
        return offsets
    }

    /// Where the vCPU's structure has what leads to the reason, and its number.
    ///
    /// - Returns: nils where the kernel does not describe its modules' types (before Linux 5.11): there the reason is an
    ///   argument.
    private static func memberOffsets(
        _ processorExtension: ProcessorExtension
    ) throws(TracepointError) -> (reason: Int32?, vcpuNumber: Int32?) {
        guard let kernel = SmallFile.read(typesPath) else { throw .noTypes }
        let (module, structure, member) =
            switch processorExtension {
            case .svm: ("kvm_amd", "vcpu_svm", "vmcb")
            case .vmx: ("kvm_intel", "vcpu_vmx", "exit_reason")
            }
        // Without a file of its own the module is built in, or the kernel does not describe modules.
        guard let types = BTF(kernel: kernel, module: SmallFile.read("/sys/kernel/btf/\(module)")) else {
            throw .noTypes
        }
        return (
            types.offset(of: member, in: structure).map { Int32(truncatingIfNeeded: $0) },
            types.offset(of: "vcpu_id", in: "kvm_vcpu").map { Int32(truncatingIfNeeded: $0) }
        )
    }

    /// Loads and attaches all programs.
    private static func attach(
        _ programs: ExitPrograms, _ method: Method, owner descriptors: DescriptorList
    ) throws(TracepointError) {
        var order = ExitPrograms.Tracepoint.counting
        if programs.placeMap != nil { order = ExitPrograms.Tracepoint.details + order }
        let files: TraceFileSystem? = method == .classic ? try TraceFileSystem() : nil
        for tracepoint in order {
            let name = tracepoint.rawValue
            if ExitPrograms.Tracepoint.details.contains(tracepoint), !programs.tellsDetail(tracepoint) { continue }
            let program = try load(programs.program(for: tracepoint), method, name)
            descriptors.add(program)
            var result: Int32
            if let number = try files?.number(of: name) {
                result = ckvm_bpf_attach_classic(number, program)
                if result < 0 { throw error("perf_event_open of kvm:\(name)", result) }
            } else {
                result = unsafe ckvm_bpf_attach_raw(name, program)
                if result == -ENOENT { throw .noTracepoint(name) }
                if result < 0 { throw error("BPF_RAW_TRACEPOINT_OPEN of \(name)", result) }
            }
            descriptors.add(result)
        }
    }

    /// Loads a program.
    ///
    /// - Returns: Its descriptor.
    private static func load(
        _ instructions: [ckvm_bpf_instruction], _ method: Method, _ name: String
    ) throws(TracepointError) -> Int32 {
        let type = method == .raw ? BPF_PROG_TYPE_RAW_TRACEPOINT : BPF_PROG_TYPE_TRACEPOINT
        let count = UInt32(instructions.count)
        let result = unsafe ckvm_bpf_load_program(type.rawValue, instructions, count, name, nil, 0)
        if result >= 0 { return result }
        guard result == -EACCES || result == -EINVAL else { throw error("BPF_PROG_LOAD", result) }
        // Once more, for the verifier's words.
        var log = [CChar](repeating: 0, count: 1 << 16)
        let again = unsafe ckvm_bpf_load_program(type.rawValue, instructions, count, name, &log, UInt32(log.count))
        if again >= 0 { return again }
        let text = String(decoding: log.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The last lines are numbers of the verifier's own.
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("processed") && !$0.hasPrefix("verification") }
        guard let reason = lines.last else { throw error("BPF_PROG_LOAD", again) }
        throw .rejected(program: name, reason: String(reason))
    }
}

/// Descriptors that are closed together.
final class DescriptorList: Sendable {
    private let descriptors = Locked<[Int32]>([])

    /// Takes a descriptor over.
    func add(_ descriptor: Int32) {
        descriptors.withLock { $0.append(descriptor) }
    }

    deinit {
        // The last that was opened first: a program is let go when nothing runs it any more.
        for descriptor in descriptors.withLock({ $0 }).reversed() { _ = ckvm_close(descriptor) }
    }
}
