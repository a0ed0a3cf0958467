@testable import Devices
import Dispatch
@testable import Host
@testable import TestSupport

/// A device that takes as much as the test lets it.
final class ReceiverStub: ConsoleReceiver {
    private struct State {
        var room: Int
        var received: [UInt8] = []
        var offers = 0
        var hasEnded = false
    }

    private let state: Locked<State>
    /// Signaled at every question whether it is ready.
    let asked = DispatchSemaphore(value: 0)
    /// Signaled at every offer of bytes.
    let offered = DispatchSemaphore(value: 0)
    /// Signaled when the device is told that there is no more.
    let ended = DispatchSemaphore(value: 0)

    /// A device with room for this many bytes.
    init(room: Int = .max) {
        state = Locked(State(room: room))
    }

    var received: [UInt8] { state.withLock { $0.received } }
    var offers: Int { state.withLock { $0.offers } }

    /// Whether the device was told that there is no more.
    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    func end() {
        defer { ended.signal() }
        state.withLock { $0.hasEnded = true }
    }

    /// Makes room for more bytes.
    func makeRoom(_ count: Int) {
        state.withLock { $0.room += count }
    }

    func isReadyToReceive() -> Bool {
        defer { asked.signal() }
        return state.withLock { $0.room > 0 }
    }

    func receive(_ bytes: ArraySlice<UInt8>) -> Int {
        defer { offered.signal() }
        return state.withLock { state in
            let taken = bytes.prefix(state.room)
            state.room -= taken.count
            state.received += taken
            state.offers += 1
            return taken.count
        }
    }
}

extension DispatchSemaphore {
    /// Waits for a signal, for so long that only a hang takes longer.
    ///
    /// - Returns: Whether it came.
    func comes() -> Bool {
        wait(timeout: .now() + 60) == .success
    }
}
