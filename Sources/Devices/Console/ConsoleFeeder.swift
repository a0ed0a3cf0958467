import CKVM
import Host

/// What the thread of a ``ConsoleInput`` does: reads, sorts out the keys that are not for the guest, and feeds the guest as fast as it eats.
///
/// It sleeps in poll(2), on the input while more may be read, and on a bell that rings when the guest has room again,
/// when an interactive console is to be prepared again, and when the run ends.
// Safe to use: the closure reads into memory that is lent for the call, with its size.
@safe
package struct ConsoleFeeder {
    /// Reads into memory: as read(2), but returns -errno.
    package typealias Read = @Sendable (_ descriptor: Int32, _ memory: UnsafeMutableRawBufferPointer) -> Int

    private let source: ConsoleSource
    private let receiver: any ConsoleReceiver
    private let bell: Doorbell
    private let read: Read

    /// What sorts the bytes of an interactive console.
    private let sorter: ((UInt8, inout ArraySlice<UInt8>) -> Bool)?
    private var pace = FeedingPace()
    /// What the guest has not taken yet.
    private var waiting: ArraySlice<UInt8> = []
    private var inputHasEnded = false
    /// Why reading failed, if it did: to the guest, its input has then ended.
    private(set) var failure: ErrorNumber?

    /// How much is read at once.
    private static let chunkSize = 4096
    /// How often a process in the background looks whether it still is: nothing tells it.
    private static let backgroundPause = Duration.milliseconds(500)

    init(_ source: ConsoleSource, to receiver: any ConsoleReceiver, bell: Doorbell, read: @escaping Read) {
        self.source = source
        self.receiver = receiver
        self.bell = bell
        // Cases in place of `interactive` here and below: to copy that takes the Swift runtime's look-up of its type.
        if case .interactive(let console) = source { sorter = console.makeSorter() } else { sorter = nil }
        unsafe self.read = unsafe read
    }

    /// Feeds the guest until there is nothing left to feed, or the run ends.
    package mutating func run(until isEnding: () -> Bool) {
        while !isEnding(), !(inputHasEnded && waiting.isEmpty) {
            let pause = pace.pause(at: .now)
            if pause == nil { feed() }
            if let events = sleep(atMost: waiting.isEmpty ? nil : pause) { takeInput(events) }
        }
        if inputHasEnded, waiting.isEmpty { receiver.end() }
    }

    /// Gives the guest what it has room for.
    private mutating func feed() {
        guard !waiting.isEmpty else { return }
        let taken = receiver.receive(waiting)
        waiting = waiting.dropFirst(taken)
        if taken > 0, !waiting.isEmpty, receiver.needsPauses { pace.serve(at: .now) }
    }

    /// Sleeps until the bell rings or there is input.
    ///
    /// - Parameter limit: How long at most; nil for as long as it takes.
    /// - Returns: What poll(2) says of the input, if anything.
    private mutating func sleep(atMost limit: Duration?) -> Int16? {
        let wantsInput = wantsInput
        let mayRead = wantsInput && isOurTurn
        var poll = PollSet(bell.descriptor, mayRead ? source.descriptor : -1)
        let timeout = wantsInput && !mayRead ? min(limit ?? Self.backgroundPause, Self.backgroundPause) : limit
        // The first of the errors is a signal, and the others are for want of memory: try again.
        guard poll.wait(atMost: timeout) > 0 else { return nil }
        if poll.events.0 != 0 {
            bell.silence()
            pace.finish(at: .now)
        }
        return poll.events.1 != 0 ? poll.events.1 : nil
    }

    private var wantsInput: Bool {
        guard !inputHasEnded, waiting.count < source.capacity else { return false }
        switch source {
        case .stream: return receiver.isReadyToReceive()
        case .interactive: return true
        }
    }

    /// Whether the input is ours to read. In the background a terminal's is not: it is for whoever is in front, and
    /// to read it would stop this process.
    private var isOurTurn: Bool {
        switch source {
        case .stream(let descriptor): ckvm_is_foreground(descriptor)
        case .interactive(let console): console.prepareToRead()
        }
    }

    private mutating func takeInput(_ events: Int16) {
        var result = 0
        let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkSize) { [source, read] memory, count in
            // Sound: the memory is as long as it says, and as much of it is initialized as read(2) returns.
            result = unsafe read(source.descriptor, UnsafeMutableRawBufferPointer(memory))
            count = max(0, result)
        }
        switch result {
        case 1...: sort(chunk)
        case 0: inputHasEnded = isEnd(events)
        case -Int(EINTR), -Int(EAGAIN): break
        // What a read in the background is answered with SIGTTIN blocked.
        case -Int(EIO) where !ckvm_is_foreground(source.descriptor): break
        // Nobody has given this process an input.
        case -Int(EBADF): inputHasEnded = true
        default:
            inputHasEnded = true
            failure = ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result))
        }
    }

    /// Whether reading nothing means that nothing comes any more. A terminal says so by hanging up; short of that,
    /// somebody has changed its modes, and Ctrl-D or a pause counts as an end for a moment.
    private func isEnd(_ events: Int16) -> Bool {
        guard case .interactive = source else { return true }
        return Int32(events) & POLLHUP != 0
    }

    private mutating func sort(_ chunk: [UInt8]) {
        guard let sorter else {
            waiting += chunk
            return
        }
        for byte in chunk where sorter(byte, &waiting) {
            // What was typed after the wish to end is for nobody.
            inputHasEnded = true
            waiting = []
            return
        }
    }
}

/// When a guest gets its next helping of input: as soon as it has finished one, and has had as much time again.
///
/// Without those pauses, a guest that takes input in an interrupt handler would have the next interrupt pending before
/// it has left the handler, and never come to what stands behind: its buffers would overflow, and input be lost.
struct FeedingPace {
    package typealias Instant = ContinuousClock.Instant

    /// When the guest was given as much as it had room for; nil when it has not been since it last made room.
    private var served: Instant?
    /// Until when it is left alone.
    private var end: Instant?

    /// What a pause is at most: the guest may have been busy with other things.
    static let longestPause = Duration.milliseconds(50)

    /// Notes that the guest has taken some bytes, and has no room for more.
    package mutating func serve(at now: Instant) {
        served = now
    }

    /// Notes that the guest has room again.
    package mutating func finish(at now: Instant) {
        guard let served else { return }
        end = now + min(served.duration(to: now), Self.longestPause)
        self.served = nil
    }

    /// How long the guest is to be left alone from now on; nil for not any longer.
    package func pause(at now: Instant) -> Duration? {
        guard let end, now < end else { return nil }
        return now.duration(to: end)
    }
}
