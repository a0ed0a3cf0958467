import CKVM

/// One vCPU's last exits, in a ring that is made before the guest starts.
///
/// For the vCPU's own thread, and for others after that was joined. Recording takes no lock and allocates nothing.
final class TraceRecorder {
    private let events: UnsafeMutablePointer<TraceEvent>
    /// One less than the number of events that there is room for, which is a power of two.
    private let mask: UInt64
    /// The number of exits that were recorded, those that fell out included.
    private(set) var recordedCount: UInt64 = 0

    /// A ring for at least the given number of exits.
    init(capacity: Int) {
        let wanted = min(max(capacity, 1), RecordingOptions.greatestTraceCapacity)
        let room = wanted.nextPowerOfTwo
        mask = UInt64(room - 1)
        events = zeroedMemory(of: TraceEvent.self, count: room)
        // So that the system hands the pages out now and not between two exits.
        ckvm_populate(events, room * MemoryLayout<TraceEvent>.stride)
    }

    deinit {
        free(events)
    }

    /// Puts an exit into the ring, over the oldest one if there is no room.
    @inline(__always)
    func record(_ event: TraceEvent) {
        // Sound: masked, the index is less than the number of events.
        events[Int(truncatingIfNeeded: recordedCount & mask)] = event
        recordedCount &+= 1
    }

    /// The exits that are in the ring, the oldest first. Only when the vCPU's thread has ended.
    var kept: [TraceEvent] {
        // Sound: as for recording.
        let ring = UnsafeBufferPointer(start: events, count: Int(mask) + 1)
        let end = Int(truncatingIfNeeded: recordedCount & mask)
        var kept: [TraceEvent] = []
        kept.reserveCapacity(recordedCount > mask ? ring.count : end)
        if recordedCount > mask { kept += ring[end...] }
        kept += ring[..<end]
        return kept
    }
}

extension Int {
    /// The least power of two that is not less than the number, which is positive.
    fileprivate var nextPowerOfTwo: Int {
        self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount)
    }
}
