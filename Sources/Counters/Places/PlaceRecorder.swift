import CKVM
package import Host
import Memory
import Synchronization

/// Where one vCPU's exits come from: how many each place made, and how long they took.
///
/// A hash table in memory that does not grow. A look-up ends after a bounded number of steps, however many places there
/// are; an exit whose place finds no room is counted as lost.
///
/// The vCPU's own thread records, without a lock or an allocation; any thread may read. A slot's key never changes once
/// the number of its row is there, and that is stored last.
// Safe to use: the tables are allocated with the recorder, and every index is masked or less than the number of places.
@safe
package final class PlaceRecorder: Sendable {
    /// A place: the key, and where its numbers are.
    private struct Slot: ~Copyable {
        let address = Atomic<UInt64>(0)
        /// The port, the page, the MSR, the leaf.
        let subject = Atomic<UInt64>(0)
        /// The subleaf, where the leaf has some.
        let extra = Atomic<UInt32>(0)
        let kind = Atomic<UInt32>(0)
        /// The number of its row plus 1; 0 where the slot is free.
        let row = Atomic<UInt32>(0)
    }

    /// How many slots are looked at, one behind the other.
    private static let maximumSteps = 16
    /// A row: exits, cycles, and the histogram.
    private static let rowSize = 2 + ExitPlaces.bucketCount

    /// Sound to share between threads: the pointers never change, and what they point to is atomic.
    private nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>
    private nonisolated(unsafe) let rows: UnsafeMutablePointer<Atomic<UInt64>>
    private let mask: UInt64
    /// How far a hash is shifted to be the number of a slot.
    private let shift: UInt64
    private let capacity: UInt32
    private let count = Atomic<UInt32>(0)
    private let lost = Atomic<UInt64>(0)

    /// Exits whose places found no room.
    package var lostExits: UInt64 { lost.load(ordering: .relaxed) }

    /// A table for at most the given number of places.
    ///
    /// - Throws: `ResourceError` when the system refuses the memory.
    package init(capacity: Int) throws(ResourceError) {
        let capacity = min(max(capacity, 1), Self.maximumCapacity)
        // Half of the slots stay free, so that few look-ups take more than two steps.
        let bits = Int.bitWidth - (2 * capacity - 1).leadingZeroBitCount
        self.capacity = UInt32(capacity)
        mask = (1 << UInt64(bits)) - 1
        shift = UInt64(UInt64.bitWidth - bits)
        unsafe slots = try unsafe zeroedMemory(of: Slot.self, count: 1 << bits)
        do {
            unsafe rows = try unsafe zeroedMemory(of: Atomic<UInt64>.self, count: capacity * Self.rowSize)
        } catch {
            unsafe free(slots)
            throw error
        }
        // So that the system hands the pages out now and not between two exits.
        unsafe ckvm_populate(slots, (1 << bits) * MemoryLayout<Slot>.stride)
        unsafe ckvm_populate(rows, capacity * Self.rowSize * MemoryLayout<Atomic<UInt64>>.stride)
    }

    /// 2^24 places, in 5 GiB.
    private static let maximumCapacity = 1 << 24

    deinit {
        unsafe free(slots)
        unsafe free(rows)
    }

    /// Counts an exit.
    ///
    /// - Parameters:
    ///   - event: What it was, what it was about, and how long it took.
    ///   - address: The guest's instruction pointer.
    @inline(__always)
    package func record(_ event: TraceEvent, at address: UInt64) {
        let kind = UInt32(event.kindNumber)
        let isMMIO = kind == UInt32(ExitKind.mmioRead.index) || kind == UInt32(ExitKind.mmioWrite.index)
        let subject = isMMIO ? event.subject & ~(GuestMemory.pageSize &- 1) : event.subject
        let hasSubleaf =
            kind == UInt32(ExitKind.cpuid.index)
            && ExitPlaces.Subject.hasSubleaves(UInt32(truncatingIfNeeded: subject))
        let extra = hasSubleaf ? event.extra : 0
        var index = Self.hash(address, subject, UInt64(extra) << 8 | UInt64(kind)) >> shift
        for _ in 0..<Self.maximumSteps {
            // Sound: the index is masked, and there is one slot more than the mask.
            let slot = unsafe slots + Int(truncatingIfNeeded: index & mask)
            let row = unsafe slot.pointee.row.load(ordering: .relaxed)
            if row == 0 {
                let number = count.load(ordering: .relaxed) &+ 1
                guard number <= capacity else { break }
                count.store(number, ordering: .relaxed)
                unsafe slot.pointee.address.store(address, ordering: .relaxed)
                unsafe slot.pointee.subject.store(subject, ordering: .relaxed)
                unsafe slot.pointee.extra.store(extra, ordering: .relaxed)
                unsafe slot.pointee.kind.store(kind, ordering: .relaxed)
                unsafe slot.pointee.row.store(number, ordering: .releasing)
                return add(event.cycles, to: number)
            }
            if unsafe slot.pointee.address.load(ordering: .relaxed) == address,
                unsafe slot.pointee.subject.load(ordering: .relaxed) == subject,
                unsafe slot.pointee.extra.load(ordering: .relaxed) == extra,
                unsafe slot.pointee.kind.load(ordering: .relaxed) == kind
            {
                return add(event.cycles, to: row)
            }
            index &+= 1
        }
        lost.store(lostExits &+ 1, ordering: .relaxed)
    }

    @inline(__always)
    private func add(_ cycles: UInt64, to row: UInt32) {
        // Sound: rows are numbered from 1 up to the capacity.
        let numbers = unsafe rows + (Int(row) &- 1) &* Self.rowSize
        let bucket = min(63 &- (cycles | 1).leadingZeroBitCount, ExitPlaces.bucketCount &- 1)
        unsafe Self.add(1, to: numbers)
        unsafe Self.add(cycles, to: numbers + 1)
        unsafe Self.add(1, to: numbers + 2 + bucket)
    }

    /// Only this thread writes, so that adding takes no atomic instruction.
    @inline(__always)
    private static func add(_ value: UInt64, to number: UnsafeMutablePointer<Atomic<UInt64>>) {
        unsafe number.pointee.store(number.pointee.load(ordering: .relaxed) &+ value, ordering: .relaxed)
    }

    /// Mixes the key's bits, so that the upper ones depend on all. Source: the multipliers of SplitMix64.
    @inline(__always)
    private static func hash(_ address: UInt64, _ subject: UInt64, _ rest: UInt64) -> UInt64 {
        var hash = address &* 0x9e37_79b9_7f4a_7c15
        hash = (hash ^ hash >> 32 ^ subject) &* 0xbf58_476d_1ce4_e5b9
        return (hash ^ hash >> 32 ^ rest) &* 0x94d0_49bb_1331_11eb
    }

    /// The places and their numbers, at some recent moment of each; exact when the vCPU is stopped.
    package func places(ofVCPU vcpu: Int) -> [ExitPlaces.Place] {
        (0...Int(truncatingIfNeeded: mask)).compactMap { index in
            // Sound: as for recording.
            let slot = unsafe slots + index
            let row = unsafe slot.pointee.row.load(ordering: .acquiring)
            guard row > 0, let kind = ExitKind(rawValue: Int(unsafe slot.pointee.kind.load(ordering: .relaxed)))
            else { return nil }
            let first = unsafe rows + (Int(row) - 1) * Self.rowSize
            let numbers = (0..<Self.rowSize).map { unsafe first[$0].load(ordering: .relaxed) }
            // KVM goes past a HLT, which is one byte, before it hands it over.
            let address = unsafe slot.pointee.address.load(ordering: .relaxed) &- (kind == .hlt ? 1 : 0)
            let subject = unsafe ExitPlaces.Subject(
                kind, subject: slot.pointee.subject.load(ordering: .relaxed),
                extra: slot.pointee.extra.load(ordering: .relaxed))
            return ExitPlaces.Place(
                vcpu: vcpu, exit: .minivmm(kind), address: address, subject: subject, exits: numbers[0],
                time: numbers[1], histogram: Array(numbers[2...]))
        }
    }
}
