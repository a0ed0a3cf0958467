import CKVM
import Host

/// The way of frames from the guest: what the thread keeps that sends them.
struct NetworkTransmitter {
    /// How far it got.
    enum Progress: Sendable {
        /// There are no more frames.
        case isDone
        /// There may be more.
        case goesOn
        /// The other side takes none at present.
        case isBlocked
    }

    /// What became of a frame.
    private enum Result {
        case sent
        case dropped
        case blocked
    }

    /// As many frames are sent at most while the driver waits.
    private static let batch = 64
    /// The bytes of a length.
    private static let prefix = 4

    private let backend: NetworkBackend
    private let counts: NetworkCounts
    private let buffer: FrameBuffer
    /// What is still to be sent of a frame that a socket has taken a part of: its place in the buffer.
    private var rest = 0..<0

    init(_ backend: NetworkBackend, _ counts: NetworkCounts) {
        self.backend = backend
        self.counts = counts
        switch backend {
        // A frame is sent as a whole or not at all.
        case .tap: buffer = FrameBuffer(size: Self.prefix)
        case .socket: buffer = FrameBuffer(size: Self.prefix + NetworkFrame.maximumSize)
        }
    }

    /// Sends frames of a queue.
    ///
    /// - Parameters:
    ///   - queue: The queue of frames.
    ///   - agreed: The features that were agreed upon.
    ///   - activity: What the device has done.
    mutating func empty(
        _ queue: inout SplitQueue, agreed: NetworkFeatures, _ activity: VirtioActivity
    ) throws(VirtqueueFault) -> Progress {
        queue.declineNotifications()
        for _ in 0..<Self.batch {
            guard try queue.next() else {
                if queue.requestNotification() { continue }
                return .isDone
            }
            let buffers = queue.chain.readable
            guard buffers.byteCount >= NetworkHeader.size else { throw .request }
            switch send(buffers, agreed) {
            case .sent:
                counts.noteFromGuest()
                activity.note(read: buffers.byteCount, written: 0)
            case .dropped: counts.noteDropped()
            case .blocked:
                queue.putBack(1)
                return .isBlocked
            }
            queue.complete(written: 0)
        }
        return .goesOn
    }

    private mutating func send(_ buffers: GuestBuffers, _ agreed: NetworkFeatures) -> Result {
        let header = NetworkHeader(buffers)
        let size = buffers.byteCount - NetworkHeader.size
        guard header.isAllowed(by: agreed.sent), size >= NetworkFrame.minimumSize, size <= NetworkFrame.maximumSize
        else { return .dropped }
        switch backend {
        case .tap(let tap): return Self.send(buffers, header, to: tap)
        case .socket(let socket):
            let result = finish(socket)
            return result == .sent ? send(buffers, size, to: socket) : result
        }
    }

    private static func send(_ buffers: GuestBuffers, _ header: NetworkHeader, to tap: TapInterface) -> Result {
        var header = header
        let result = unsafe withUnsafeMutableBytes(of: &header) { bytes in
            // Sound: the header has as many bytes, and is there for the time of the call.
            let head = unsafe iovec(iov_base: bytes.baseAddress, iov_len: NetworkHeader.size)
            return unsafe buffers.withVectors(NetworkHeader.size..<buffers.byteCount, head: head) {
                unsafe ckvm_writev(tap.descriptor, $0, Int32($1))
            }
        }
        // What the kernel does not like, or has no room for, is a frame that is lost on its way.
        return result >= 0 ? .sent : result == -Int(EAGAIN) ? .blocked : .dropped
    }

    private mutating func send(_ buffers: GuestBuffers, _ size: Int, to socket: FrameSocket) -> Result {
        buffer.store(bigEndian32: size, at: 0)
        let total = Self.prefix + size
        // Sound: the buffer is there for the time of the call.
        let result = unsafe buffers.withVectors(
            NetworkHeader.size..<buffers.byteCount, head: buffer.vector(0..<Self.prefix)
        ) { unsafe ckvm_send_parts(socket.descriptor, $0, $1) }
        switch result {
        case total: return .sent
        case 1..<total:
            // The guest gets its buffers back, and the rest goes out before any other frame.
            rest = result..<total
            let taken = max(result, Self.prefix)
            buffer.copy(
                from: buffers, at: NetworkHeader.size + taken - Self.prefix, to: taken..<total)
            return .sent
        case -Int(EAGAIN), -Int(EINTR): return .blocked
        default: return .dropped
        }
    }

    /// Sends the rest of a frame.
    private mutating func finish(_ socket: FrameSocket) -> Result {
        while !rest.isEmpty {
            var vector = unsafe buffer.vector(rest)
            // Sound: the vector is a part of the buffer, which is there for the time of the call.
            let result = unsafe ckvm_send_parts(socket.descriptor, &vector, 1)
            switch result {
            case 1...: rest = rest.lowerBound + result..<rest.upperBound
            case -Int(EAGAIN), -Int(EINTR): return .blocked
            default: return .dropped
            }
        }
        return .sent
    }

    /// Sends what is left of a frame, whether there are others or not.
    ///
    /// - Returns: Whether the other side has taken it.
    mutating func finish() -> Bool {
        guard case .socket(let socket) = backend else { return true }
        return finish(socket) != .blocked
    }
}
