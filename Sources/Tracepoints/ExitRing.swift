import CKVM
import Glibc
import Host

/// An exit that KVM settled, as the programs keep it: 32 bytes. Times in nanoseconds of CLOCK_MONOTONIC.
package struct KernelExitEvent: Hashable, Sendable, BitwiseCopyable {
    /// When the guest exited.
    package var start: UInt64 = 0
    /// What KVM took for it, sleep taken off.
    package var nanoseconds: UInt64 = 0
    /// What the vCPU slept in it.
    package var nanosecondsHalted: UInt64 = 0
    /// The reason, as ``ExitReasonIndex`` has it.
    package var reason: UInt64 = 0

    /// Where the numbers stand, in bytes.
    enum Offset {
        static let start: Int16 = 0
        static let nanoseconds: Int16 = 8
        static let nanosecondsHalted: Int16 = 16
        static let reason: Int16 = 24
    }

    /// The bytes of an event.
    package static let size = 32

    /// The given values.
    package init(start: UInt64 = 0, nanoseconds: UInt64 = 0, nanosecondsHalted: UInt64 = 0, reason: UInt64 = 0) {
        self.start = start
        self.nanoseconds = nanoseconds
        self.nanosecondsHalted = nanosecondsHalted
        self.reason = reason
    }
}

/// The last exits that KVM settled, one by one: a ring for each vCPU, in one array that this process maps.
///
/// A ring has one writer, the vCPU's thread inside the kernel. How many events it has got is in ``ExitPrograms/Thread``.
final class ExitRing: Sendable {
    /// How many events each vCPU has room for: a power of two.
    let capacity: Int
    /// How many vCPUs there is room for.
    private let threadCount: Int
    let map: OwnedDescriptor
    private let mapping: MapView

    /// Makes the rings.
    ///
    /// - Parameter capacity: How many events each vCPU is to have room for at least; rounded up to a power of two.
    /// - Throws: ``TracepointError``.
    init(capacity: Int, threadCount: Int) throws(TracepointError) {
        var room = 1
        while room < capacity { room *= 2 }
        self.capacity = room
        self.threadCount = threadCount
        let (entries, overflow) = UInt32(clamping: room).multipliedReportingOverflow(by: UInt32(threadCount))
        guard !overflow else {
            throw .noRoomForTrace(events: room, threads: threadCount, ErrorNumber(rawValue: E2BIG))
        }
        do throws(TracepointError) {
            map = try ExitTracepoints.makeMap(
                BPF_MAP_TYPE_ARRAY, valueSize: UInt32(KernelExitEvent.size), entries: entries,
                flags: UInt32(BPF_F_MMAPABLE), "minivmm_ring")
        } catch .refused(_, let error) {
            throw .noRoomForTrace(events: room, threads: threadCount, error)
        }
        do throws(ErrorNumber) {
            mapping = try MapView(of: map.number, byteCount: room * threadCount * KernelExitEvent.size)
        } catch {
            throw .noRoomForTrace(events: room, threads: threadCount, error)
        }
    }

    /// The events that are in a vCPU's ring, the oldest first. Only when its thread has ended.
    ///
    /// - Parameter count: How many it has got.
    func events(thread: Int, count: UInt64) -> [KernelExitEvent] {
        precondition((0..<threadCount).contains(thread))
        let kept = min(count, UInt64(capacity))
        return (0..<kept).map { number in
            let index = Int(truncatingIfNeeded: (count &- kept &+ number) & UInt64(capacity - 1))
            return mapping.load(at: (thread * capacity + index) * KernelExitEvent.size, as: KernelExitEvent.self)
        }
    }
}

extension ExitPrograms {
    /// Puts the exit that KVM has settled into the thread's ring. r8 = when it began, r9 = what it took; all other
    /// registers but r7 are lost.
    func keepInRing(_ ring: ExitRing, _ code: inout BPFAssembler, _ out: BPFLabel) {
        // r1 = how many there were before
        code.load(.r1, from: .r7, Thread.ringCount)
        code.move(.r2, .r1)
        code.compute(.add, .r2, 1)
        code.store(.r2, to: .r7, Thread.ringCount)
        // The thread's first event plus that number, modulo the capacity.
        code.compute(.and, .r1, Int32(truncatingIfNeeded: ring.capacity - 1))
        code.load(.word, .r2, from: .r7, Thread.ringFirst)
        code.compute(.add, .r1, .r2)
        code.store(.word, .r1, to: .stack, Stack.key)
        lookUp(ring.map.number, &code, out)
        code.store(.r8, to: .r0, KernelExitEvent.Offset.start)
        code.store(.r9, to: .r0, KernelExitEvent.Offset.nanoseconds)
        code.load(.r1, from: .r7, Thread.halted)
        code.store(.r1, to: .r0, KernelExitEvent.Offset.nanosecondsHalted)
        // The index of the reason is that of the slot in the thread's own.
        code.load(.word, .r1, from: .r7, Thread.slot)
        code.load(.word, .r2, from: .r7, Thread.first)
        code.compute(.subtract, .r1, .r2)
        code.store(.r1, to: .r0, KernelExitEvent.Offset.reason)
    }
}
