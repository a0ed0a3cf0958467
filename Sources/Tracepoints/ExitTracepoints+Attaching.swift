import CKVM
import Glibc
import Host

/// Making the maps, finding out what the programs need to know, loading and attaching them.
extension ExitTracepoints {
    static func makeMap(
        _ type: bpf_map_type, valueSize: UInt32, entries: UInt32, flags: UInt32, _ name: String
    ) throws(TracepointError) -> OwnedDescriptor {
        let result = unsafe ckvm_bpf_create_map(
            type.rawValue, UInt32(MemoryLayout<UInt32>.size), valueSize, entries, flags, name)
        guard result >= 0 else { throw error("BPF_MAP_CREATE", result) }
        return OwnedDescriptor(takingOver: result)
    }

    static func makePlaceMap(
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
    static func checkDescriptions(for method: Method) throws(TracepointError) {
        switch method {
        case .raw: guard unsafe Glibc.access(typesPath, R_OK) == 0 else { throw .noTypes }
        case .classic: _ = try TraceFileSystem()
        }
    }

    /// The kernel's own types.
    private static let typesPath = "/sys/kernel/btf/vmlinux"

    /// Whose threads are counted, in the words of the kernel.
    static func process(_ process: Int32?) throws(TracepointError) -> ExitPrograms.Process {
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
    static func access(
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

    /// Where the vCPU's structure has what leads to the reason, and its number; nils where the kernel does not describe
    /// its modules' types (before Linux 5.11): there the reason is an argument.
    private struct MemberOffsets {
        let reason, vcpuNumber: Int32?
    }

    /// What was found for each extension: the types take megabytes to read, and stay as they are while a process runs.
    private static let foundOffsets = Locked<[ProcessorExtension: MemberOffsets]>([:])

    /// Where the vCPU's structure has its members, found out once.
    private static func memberOffsets(
        _ processorExtension: ProcessorExtension
    ) throws(TracepointError) -> MemberOffsets {
        if let found = foundOffsets.withLock({ $0[processorExtension] }) { return found }
        let offsets = try findMemberOffsets(processorExtension)
        foundOffsets.withLock { $0[processorExtension] = offsets }
        return offsets
    }

    private static func findMemberOffsets(
        _ processorExtension: ProcessorExtension
    ) throws(TracepointError) -> MemberOffsets {
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
        return MemberOffsets(
            reason: types.offset(of: member, in: structure).map { Int32(truncatingIfNeeded: $0) },
            vcpuNumber: types.offset(of: "vcpu_id", in: "kvm_vcpu").map { Int32(truncatingIfNeeded: $0) })
    }

    /// Loads and attaches all programs.
    static func attach(
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
