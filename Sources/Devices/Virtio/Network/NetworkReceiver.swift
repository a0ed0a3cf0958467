import CKVM
import Host

/// The way of frames to the guest: what the thread keeps that receives them.
///
/// Frames wait outside while the guest has no buffers for them. Of a TAP interface, one frame at most is held here, which
/// turned out to be larger than the first buffer; a socket is read in large pieces, one at a time.
struct NetworkReceiver {
    /// How far it got.
    enum Progress: Sendable {
        /// There are no more frames.
        case waitsForFrames
        /// There are no buffers. The driver tells when there are.
        case waitsForBuffers
        /// There may be more of both.
        case goesOn
        /// There will never be any more.
        case isClosed
    }

    /// What became of a frame.
    private enum Placement {
        case placed
        case dropped
        case noBuffers
    }

    /// As many frames are moved at most while the driver waits.
    private static let batch = 64
    /// Large enough for some frames of any size, and for many of the usual.
    private static let socketBufferSize = 1 << 18

    private let backend: NetworkBackend
    private let counts: NetworkCounts
    private let buffer: FrameBuffer
    /// The bytes of a socket that are in the buffer; of a TAP interface, the frame, if there is one.
    private var held = 0..<0
    /// What stands before that frame.
    private var heldHeader = NetworkHeader()

    init(_ backend: NetworkBackend, _ counts: NetworkCounts) {
        self.backend = backend
        self.counts = counts
        switch backend {
        case .tap: buffer = FrameBuffer(size: NetworkFrame.maximumSize)
        case .socket: buffer = FrameBuffer(size: Self.socketBufferSize)
        }
    }

    /// Moves frames into a queue.
    ///
    /// - Parameters:
    ///   - queue: The queue of empty buffers.
    ///   - agreed: The features that were agreed upon.
    ///   - activity: What the device has done.
    mutating func fill(
        _ queue: inout SplitQueue, agreed: NetworkFeatures, _ activity: VirtioActivity
    ) throws(VirtqueueFault) -> Progress {
        queue.declineNotifications()
        for _ in 0..<Self.batch {
            let progress =
                switch backend {
                case .tap(let tap): try receive(tap, &queue, agreed, activity)
                case .socket(let socket): try receive(socket, &queue, agreed, activity)
                }
            if progress != .goesOn { return progress }
        }
        return .goesOn
    }

    /// Takes the next empty buffers; the driver tells when there are some.
    private static func next(_ queue: inout SplitQueue) throws(VirtqueueFault) -> Bool {
        repeat {
            if try queue.next() { return true }
        } while queue.requestNotification()
        return false
    }
}

// MARK: TAP interfaces

extension NetworkReceiver {
    /// Moves a frame. It is read into the guest's buffers, and what they have no room for into the buffer here.
    private mutating func receive(
        _ tap: TapInterface, _ queue: inout SplitQueue, _ agreed: NetworkFeatures, _ activity: VirtioActivity
    ) throws(VirtqueueFault) -> Progress {
        if !held.isEmpty { return try placeHeld(&queue, agreed, activity) }
        guard try Self.next(&queue) else { return .waitsForBuffers }
        let buffers = queue.chain.writable
        guard buffers.byteCount >= NetworkHeader.size else { throw .request }
        var header = NetworkHeader()
        let result = read(tap, &header, buffers)
        let count = result - NetworkHeader.size
        guard count >= 0 else {
            queue.putBack(1)
            switch result {
            case -Int(EAGAIN): return .waitsForFrames
            case -Int(EINTR): return .goesOn
            default: return .isClosed
            }
        }
        if !agreed.contains(.takesUnchecked) { header.flags &= ~NetworkHeader.isChecked }
        let isAllowed = header.isAllowed(by: agreed.taken)
        let room = buffers.byteCount - NetworkHeader.size
        if !isAllowed || count > room && !agreed.contains(.mergesBuffers) {
            queue.putBack(1)
            counts.noteDropped()
        } else if count > room {
            buffer.copy(from: buffers, at: NetworkHeader.size, to: 0..<room)
            queue.putBack(1)
            (held, heldHeader) = (0..<count, header)
        } else {
            header.bufferCount = 1
            header.write(to: buffers)
            queue.complete(written: result)
            note(result, activity)
        }
        return .goesOn
    }

    private func read(_ tap: TapInterface, _ header: inout NetworkHeader, _ buffers: GuestBuffers) -> Int {
        let room = min(buffers.byteCount - NetworkHeader.size, buffer.size)
        return unsafe withUnsafeMutableBytes(of: &header) { bytes in
            // Sound: the header has as many bytes, and both it and the buffer are there for the time of the call.
            let head = unsafe iovec(iov_base: bytes.baseAddress, iov_len: NetworkHeader.size)
            return unsafe buffers.withVectors(
                NetworkHeader.size..<NetworkHeader.size + room, head: head, tail: buffer.vector(room..<buffer.size)
            ) { unsafe ckvm_readv(tap.descriptor, $0, Int32($1)) }
        }
    }

    private mutating func placeHeld(
        _ queue: inout SplitQueue, _ agreed: NetworkFeatures, _ activity: VirtioActivity
    ) throws(VirtqueueFault) -> Progress {
        // Another driver may have agreed to less since.
        if !heldHeader.isAllowed(by: agreed.taken) {
            counts.noteDropped()
        } else if try place(held, heldHeader, &queue, agreed, activity) == .noBuffers {
            return .waitsForBuffers
        }
        held = 0..<0
        return .goesOn
    }
}

// MARK: Sockets

extension NetworkReceiver {
    /// The bytes of a length.
    private static let prefix = 4

    /// Moves a frame, or reads some.
    private mutating func receive(
        _ socket: FrameSocket, _ queue: inout SplitQueue, _ agreed: NetworkFeatures, _ activity: VirtioActivity
    ) throws(VirtqueueFault) -> Progress {
        guard held.count >= Self.prefix else { return read(socket) }
        let size = buffer.bigEndian32(at: held.lowerBound)
        // Where the next frame starts, nobody knows any more.
        guard size <= NetworkFrame.maximumSize else { return .isClosed }
        let start = held.lowerBound + Self.prefix
        guard held.upperBound - start >= size else { return read(socket) }
        if size < NetworkFrame.minimumSize {
            counts.noteDropped()
        } else if try place(start..<start + size, NetworkHeader(), &queue, agreed, activity) == .noBuffers {
            return .waitsForBuffers
        }
        held = start + size..<held.upperBound
        return .goesOn
    }

    /// Reads what there is room for. There always is some: a frame is smaller than the buffer.
    private mutating func read(_ socket: FrameSocket) -> Progress {
        buffer.moveToStart(held)
        held = 0..<held.count
        var vector = unsafe buffer.vector(held.upperBound..<buffer.size)
        // Sound: the vector is a part of the buffer, which is there for the time of the call.
        let result = unsafe ckvm_readv(socket.descriptor, &vector, 1)
        switch result {
        case 1...:
            held = 0..<held.upperBound + result
            return .goesOn
        case -Int(EAGAIN): return .waitsForFrames
        case -Int(EINTR): return .goesOn
        default: return .isClosed
        }
    }
}

// MARK: Buffers

extension NetworkReceiver {
    /// Copies a frame into as many of the guest's buffers as it takes, or none.
    private func place(
        _ frame: Range<Int>, _ header: NetworkHeader, _ queue: inout SplitQueue, _ agreed: NetworkFeatures,
        _ activity: VirtioActivity
    ) throws(VirtqueueFault) -> Placement {
        var first = GuestBuffers()
        var (count, done): (UInt16, Int) = (0, frame.lowerBound)
        repeat {
            guard try Self.next(&queue) else {
                queue.putBack(count)
                return .noBuffers
            }
            let buffers = queue.chain.writable
            let offset = count == 0 ? NetworkHeader.size : 0
            guard buffers.byteCount >= max(offset, 1) else { throw .request }
            if count == 0 { first = buffers }
            count += 1
            let piece = min(frame.upperBound - done, buffers.byteCount - offset)
            buffer.copy(done..<done + piece, to: buffers, at: offset)
            queue.note(written: offset + piece)
            done += piece
            // All buffers that there can be are not enough.
            if done < frame.upperBound, !agreed.contains(.mergesBuffers) || count == queue.size {
                queue.putBack(count)
                counts.noteDropped()
                return .dropped
            }
        } while done < frame.upperBound
        var header = header
        header.bufferCount = count
        header.write(to: first)
        queue.publish()
        note(NetworkHeader.size + frame.count, activity)
        return .placed
    }

    private func note(_ count: Int, _ activity: VirtioActivity) {
        counts.noteToGuest()
        activity.note(read: 0, written: count)
    }
}
