import CKVM
package import Host
public import KVM
import Memory

/// The exits of a run, one by one, as far as there was room for them.
public struct ExitTrace: Sendable {
    /// One vCPU's exits, of those that reached MiniVMM or of those that KVM settled itself.
    package struct Track<Event: Sendable>: Sendable {
        package let vcpu: Int
        /// The exits, the oldest first.
        package let events: [Event]
        /// How many exits fell out of the ring, all of them older.
        package let lostCount: UInt64

        /// The given values.
        package init(vcpu: Int, events: [Event], lostCount: UInt64) {
            self.vcpu = vcpu
            self.events = events
            self.lostCount = lostCount
        }
    }

    /// Each vCPU's, in the order of their numbers.
    package let tracks: [Track<TraceEvent>]
    /// What KVM settled, in the same order; none unless it was to be kept.
    package var kernelTracks: [Track<KernelTraceEvent>] = []
    /// The time-stamp counter when the run started.
    package let origin: UInt64

    /// The number of exits in the trace that reached MiniVMM.
    public var exitCount: Int { tracks.reduce(0) { $0 + $1.events.count } }
    /// The number of those that there was no room for.
    public var lostCount: UInt64 { tracks.reduce(0) { $0 &+ $1.lostCount } }
    /// The number of exits in the trace that KVM settled.
    public var kernelExitCount: Int { kernelTracks.reduce(0) { $0 + $1.events.count } }
    /// The number of those that there was no room for.
    public var kernelLostCount: UInt64 { kernelTracks.reduce(0) { $0 &+ $1.lostCount } }

    /// The given values.
    package init(tracks: [Track<TraceEvent>], origin: UInt64) {
        self.tracks = tracks
        self.origin = origin
    }
}

/// One exit in a trace: 32 bytes.
@usableFromInline
package struct TraceEvent: BitwiseCopyable, Hashable, Sendable {
    /// The time-stamp counter when the exit's service began.
    @usableFromInline package var start: UInt64 = 0
    /// Service time, in cycles.
    @usableFromInline package var cycles: UInt64 = 0
    /// What the exit was about, as its kind has it: a port, an address, a leaf, an MSR.
    @usableFromInline package var subject: UInt64 = 0
    /// A second number: the items of a port access, the subleaf of a CPUID.
    @usableFromInline package var extra: UInt32 = 0
    /// Bytes of an access, else 0.
    @usableFromInline package var width: UInt8 = 0
    /// The kind's number.
    @usableFromInline package var kindNumber: UInt8 = 0

    /// The kind.
    package var kind: ExitKind { ExitKind(rawValue: Int(kindNumber)) ?? .unknown }

    /// The given values.
    @inlinable
    package init(
        start: UInt64 = 0, cycles: UInt64 = 0, subject: UInt64 = 0, extra: UInt32 = 0, width: UInt8 = 0,
        kindNumber: UInt8 = 0
    ) {
        self.start = start
        self.cycles = cycles
        self.subject = subject
        self.extra = extra
        self.width = width
        self.kindNumber = kindNumber
    }
}

extension TraceEvent {
    /// Takes down what an exit was about, out of the run page. The vCPU must not have run since.
    @inlinable
    @inline(__always)
    package mutating func describe(_ exit: Exit) {
        switch exit {
        case .portIn(let access), .portOut(let access):
            subject = UInt64(access.port)
            width = UInt8(truncatingIfNeeded: access.width.rawValue)
            extra = UInt32(truncatingIfNeeded: access.count)
        case .mmioRead(let access), .mmioWrite(let access):
            subject = access.address.rawValue
            width = UInt8(truncatingIfNeeded: access.byteCount)
        case .rdmsr(let index), .wrmsr(let index, _): subject = UInt64(index)
        case .hypercall(let number): subject = number
        case .debug(let pc, _): subject = pc
        case .exception(let vector): subject = UInt64(vector)
        case .failEntry(let reason), .unknown(let reason): subject = reason
        case .internalError(let suberror): subject = UInt64(suberror)
        case .systemEvent(let type): subject = UInt64(type)
        case .other(let reason): subject = UInt64(reason)
        default: break
        }
    }
}

/// One vCPU's last exits, in a ring that is made before the guest starts.
///
/// For the vCPU's own thread, and for others after that was joined. Recording takes no lock and allocates nothing.
// Safe to use: the ring is allocated with the recorder, and every index is masked.
@safe
package final class TraceRecorder {
    private let events: UnsafeMutablePointer<TraceEvent>
    /// One less than the number of events that there is room for, which is a power of two.
    private let mask: UInt64
    /// The number of exits that were recorded, those that fell out included.
    package var recordedCount: UInt64 { count }
    /// Private, so that the compiler sees all its uses and need not check them at run time.
    private var count: UInt64 = 0
    /// The number of the first exit that there is no memory for yet; one that never comes when there is memory for all.
    private var firstWithoutMemory: UInt64 = 0
    /// The exits that memory is taken for at once: a quarter of a megabyte.
    private static let exitsAtOnce = 8192

    /// A ring for at least the given number of exits.
    package init(capacity: Int) throws(ResourceError) {
        let wanted = min(max(capacity, 1), RecordingOptions.maximumTraceCapacity)
        let room = wanted.nextPowerOfTwo
        mask = UInt64(room - 1)
        unsafe events = try unsafe zeroedMemory(of: TraceEvent.self, count: room)
        _ = takeMemory()
    }

    deinit {
        unsafe free(events)
    }

    /// Takes memory for the next exits from the system, so that it is not handed out page by page between exits. Not for
    /// the whole ring at once: a short run would take longer for it than for all else.
    ///
    /// - Returns: The cycles that this took.
    @inline(never)
    private func takeMemory() -> UInt64 {
        let start = ckvm_rdtsc()
        let first = Int(truncatingIfNeeded: firstWithoutMemory)
        let room = Int(truncatingIfNeeded: mask) + 1
        let part = min(Self.exitsAtOnce, room - first)
        // Sound: the ring has room for `first + part` exits.
        unsafe ckvm_populate(events + first, part * MemoryLayout<TraceEvent>.stride)
        firstWithoutMemory = first + part < room ? UInt64(first + part) : .max
        return ckvm_rdtsc() &- start
    }

    /// Puts an exit into the ring, over the oldest one if there is no room.
    ///
    /// - Returns: The cycles that it took to get memory; nearly always 0.
    @inline(__always)
    package func record(_ event: TraceEvent) -> UInt64 {
        let ownCycles = count == firstWithoutMemory ? takeMemory() : 0
        // Sound: masked, the index is less than the number of events.
        unsafe events[Int(truncatingIfNeeded: count & mask)] = event
        count &+= 1
        return ownCycles
    }

    /// The exits that are in the ring, the oldest first. Only when the vCPU's thread has ended.
    package var kept: [TraceEvent] {
        // Sound: as for recording.
        let ring = unsafe UnsafeBufferPointer(start: events, count: Int(mask) + 1)
        let end = Int(truncatingIfNeeded: count & mask)
        var kept: [TraceEvent] = []
        kept.reserveCapacity(count > mask ? ring.count : end)
        if count > mask { unsafe kept += ring[end...] }
        unsafe kept += ring[..<end]
        return kept
    }
}

extension Int {
    /// The least power of two that is not less than the number, which is positive.
    fileprivate var nextPowerOfTwo: Int {
        self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount)
    }
}
