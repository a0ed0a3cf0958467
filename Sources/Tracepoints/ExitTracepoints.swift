import CKVM
import Glibc
import Host

/// Counts all exits of vCPU threads, those that KVM settles itself included, by programs at KVM's tracepoints.
///
/// Everything lasts as long as this object, or as the process: the kernel takes programs and maps away when their
/// descriptors are closed, however that comes about.
///
/// Reading takes no system call: the slots are mapped. Any thread may read.
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
    /// Whose numbers the reasons are.
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
    /// The counts.
    private let mapping: MapView

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

        do throws(ErrorNumber) {
            mapping = try MapView(of: slots.number, byteCount: slotCount * ExitSlot.size)
        } catch {
            throw .refused(call: "mmap of the counts", error)
        }
    }

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

    /// What was counted so far for a thread and a reason. The programs may be writing: each number is a recent one.
    package func slot(thread: Int, reason: Int) -> ExitSlot {
        mapping.load(at: offset(thread, reason), as: ExitSlot.self)
    }

    /// Exits so far for a thread and a reason: one number, which comes first in the slot.
    package func count(thread: Int, reason: Int) -> UInt64 {
        mapping.load(at: offset(thread, reason), as: UInt64.self)
    }

    /// The histogram of a thread and a reason, see ``ExitSlot/bucketCount``.
    package func histogram(thread: Int, reason: Int) -> [UInt64] {
        let start = offset(thread, reason) + Int(ExitSlot.Offset.histogram)
        return (0..<ExitSlot.bucketCount).map { mapping.load(at: start + 8 * $0, as: UInt64.self) }
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
        number(at: ExitPrograms.Thread.lost, ofThread: thread) ?? 0
    }

    /// Exits of another process that had no place: of vCPUs whose numbers are too large, or of too many threads.
    package var lostExits: UInt64 {
        guard countsLost else { return 0 }
        // The slot for lost exits comes last, and its count first.
        return mapping.load(at: threadCount * ExitReasonIndex.count * ExitSlot.size, as: UInt64.self)
    }

    /// The exits of a thread that KVM settled, one by one: the last ones, the oldest first, and how many there were
    /// besides. None unless they are kept. Only when the thread has ended.
    ///
    /// - Parameters:
    ///   - thread: The thread's number, as gettid(2) has it.
    ///   - index: The place that it counted in.
    package func events(thread: Int32, as index: Int) -> (kept: [KernelExitEvent], lostCount: UInt64) {
        guard let ring, let count = number(at: ExitPrograms.Thread.ringCount, ofThread: thread) else { return ([], 0) }
        let kept = ring.events(thread: index, count: count)
        return (kept, count &- UInt64(kept.count))
    }

    /// A number of what the programs keep of a thread; nil for a thread that is none of theirs.
    ///
    /// - Parameter field: Where it stands, in bytes: one of ``ExitPrograms/Thread``.
    private func number(at field: Int16, ofThread thread: Int32) -> UInt64? {
        var key = thread
        var value = [UInt64](repeating: 0, count: Int(ExitPrograms.Thread.size) / 8)
        // Sound: key and value are as long as the map was made for.
        guard unsafe ckvm_bpf_look_up(threads.number, &key, &value) >= 0 else { return nil }
        return value[Int(field) / 8]
    }

    private func offset(_ thread: Int, _ reason: Int) -> Int {
        precondition((0..<threadCount).contains(thread) && (0..<ExitReasonIndex.count).contains(reason))
        return (thread * ExitReasonIndex.count + reason) * ExitSlot.size
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
