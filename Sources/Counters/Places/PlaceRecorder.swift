import CKVM
package import Host
import Memory

/// Where one vCPU's exits come from: how many each place made, and how long they took.
///
/// A hash table in memory that does not grow. A look-up ends after a bounded number of steps, however many places there
/// are; an exit whose place finds no room is counted as lost.
///
/// For the vCPU's own thread, and for others after that was joined. Recording takes no lock and allocates nothing.
// Safe to use: the tables are allocated with the recorder, and every index is masked or less than the number of places.
@safe
package final class PlaceRecorder {
    /// A place: the key, and where its numbers are.
    private struct Slot: BitwiseCopyable {
        var address: UInt64
        /// The port, the page, the MSR, the leaf.
        var subject: UInt64
        /// The subleaf, where the leaf has some.
        var extra: UInt32
        var kind: UInt32
        /// The number of its row plus 1; 0 where the slot is free.
        var row: UInt32
    }

    /// How many slots are looked at, one behind the other.
    private static let maximumSteps = 16
    /// A row: exits, cycles, and the histogram.
    private static let rowSize = 2 + ExitPlaces.bucketCount

    private let slots: UnsafeMutablePointer<Slot>
    private let rows: UnsafeMutablePointer<UInt64>
    private let mask: UInt64
    /// How far a hash is shifted to be the number of a slot.
    private let shift: UInt64
    private let capacity: UInt32
    private var count: UInt32 = 0
    /// Exits whose places found no room.
    package private(set) var lostExits: UInt64 = 0

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
            unsafe rows = try unsafe zeroedMemory(of: UInt64.self, count: capacity * Self.rowSize)
        } catch {
            unsafe free(slots)
            throw error
        }
        // So that the system hands the pages out now and not between two exits.
        unsafe ckvm_populate(slots, (1 << bits) * MemoryLayout<Slot>.stride)
        unsafe ckvm_populate(rows, capacity * Self.rowSize * MemoryLayout<UInt64>.stride)
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
            let row = unsafe slot.pointee.row
            if row == 0 {
                guard count < capacity else { break }
                count &+= 1
                unsafe slot.pointee = Slot(address: address, subject: subject, extra: extra, kind: kind, row: count)
                return add(event.cycles, to: count)
            }
            if unsafe slot.pointee.address == address, unsafe slot.pointee.subject == subject,
                unsafe slot.pointee.extra == extra, unsafe slot.pointee.kind == kind
            {
                return add(event.cycles, to: row)
            }
            index &+= 1
        }
        lostExits &+= 1
    }

    @inline(__always)
    private func add(_ cycles: UInt64, to row: UInt32) {
        // Sound: rows are numbered from 1 up to the capacity.
        let numbers = unsafe rows + (Int(row) &- 1) &* Self.rowSize
        unsafe numbers[0] &+= 1
        unsafe numbers[1] &+= cycles
        let bucket = min(63 &- (cycles | 1).leadingZeroBitCount, ExitPlaces.bucketCount &- 1)
        unsafe numbers[2 &+ bucket] &+= 1
    }

    /// Mixes the key's bits, so that the upper ones depend on all. Source: the multipliers of SplitMix64.
    @inline(__always)
    private static func hash(_ address: UInt64, _ subject: UInt64, _ rest: UInt64) -> UInt64 {
        var hash = address &* 0x9e37_79b9_7f4a_7c15
        hash = (hash ^ hash >> 32 ^ subject) &* 0xbf58_476d_1ce4_e5b9
        return (hash ^ hash >> 32 ^ rest) &* 0x94d0_49bb_1331_11eb
    }

    /// The places and their numbers. Only when the vCPU's thread has ended.
    package func places(ofVCPU vcpu: Int) -> [ExitPlaces.Place] {
        (0...Int(truncatingIfNeeded: mask)).compactMap { index in
            // Sound: as for recording.
            let slot = unsafe slots[index]
            guard slot.row > 0, let kind = ExitKind(rawValue: Int(slot.kind)) else { return nil }
            let numbers = unsafe UnsafeBufferPointer(
                start: rows + (Int(slot.row) - 1) * Self.rowSize, count: Self.rowSize)
            // KVM goes past a HLT, which is one byte, before it hands it over.
            let address = kind == .hlt ? slot.address &- 1 : slot.address
            return unsafe ExitPlaces.Place(
                vcpu: vcpu, exit: .minivmm(kind), address: address,
                subject: ExitPlaces.Subject(kind, subject: slot.subject, extra: slot.extra), exits: numbers[0],
                time: numbers[1], histogram: Array(numbers[2...]))
        }
    }
}
