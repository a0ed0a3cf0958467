import CKVM
package import Counters
package import Host
package import MiniVMM

/// Serves one debugger after another, on a thread of its own, for as long as a machine runs.
package final class DebugServer: Sendable {
    private let thread: PosixThread
    private let shared: Shared

    /// What the two threads share.
    private final class Shared: Sendable {
        let control: DebugControl
        /// The reply that says how the run ended, once it has.
        let end = Locked<String?>(nil)

        init(_ control: DebugControl) {
            self.control = control
        }
    }

    /// Begins to serve.
    ///
    /// - Parameters:
    ///   - listener: Where debuggers connect.
    ///   - machine: The machine, which was made with the control.
    ///   - control: What the machine is stopped by.
    ///   - support: What works on this host; nil for what the self-test finds.
    /// - Throws: `ResourceError` when the system refuses a thread; `KVMError` or `GuestMemoryError` when it cannot be
    ///   found out what works here.
    package init(
        _ listener: LocalListener, machine: Machine, control: DebugControl, support: DebugSupport? = nil
    ) throws {
        let target = MachineTarget(
            machine: machine, control: control, support: try support ?? machine.debugSupport())
        let shared = Shared(control)
        self.shared = shared
        thread = try PosixThread(name: "debugger") {
            var service = DebugService(listener: listener, target: target)
            while shared.end.withLock({ $0 }) == nil { service.turn(bell: control.bell) }
            service.end(shared.end.withLock { $0 } ?? "")
        }
    }

    /// Tells the debugger how the run has ended, and stops. To be called once, when the machine does not run any more.
    package func end(_ ending: RunEnding) {
        shared.end.withLock { $0 = ending.remoteReply }
        shared.control.endRun()
        shared.control.bell.ring()
        thread.join()
    }
}

/// The work of the server's thread.
private struct DebugService: ~Copyable {
    let listener: LocalListener
    let target: MachineTarget
    private var connection: Connection?

    /// A debugger that is connected.
    private struct Connection: ~Copyable {
        let socket: OwnedDescriptor
        var session: RemoteSession<MachineTarget>

        /// Sends bytes.
        ///
        /// - Returns: Whether they went out.
        borrowing func send(_ bytes: [UInt8]) -> Bool {
            var rest = bytes[...]
            while !rest.isEmpty {
                let sent = unsafe rest.withUnsafeBytes { unsafe ckvm_send(socket.number, $0.baseAddress, $0.count) }
                if sent == -Int(EINTR) { continue }
                guard sent > 0 else { return false }
                rest = rest.dropFirst(sent)
            }
            return true
        }

        /// What has come in; nil when the debugger has gone.
        borrowing func read() -> [UInt8]? {
            var buffer = [UInt8](repeating: 0, count: 0x1000)
            let count = unsafe ckvm_read(socket.number, &buffer, buffer.count)
            if count == -Int(EINTR) { return [] }
            return count > 0 ? Array(buffer.prefix(count)) : nil
        }
    }

    init(listener: LocalListener, target: MachineTarget) {
        self.listener = listener
        self.target = target
        connection = nil
    }

    /// Waits until something happens, and does what is to be done then.
    mutating func turn(bell: Doorbell) {
        guard var connection = connection.take() else { return waitForDebugger(bell) }
        switch bell.wait(until: nil, or: connection.socket.number) {
        case .ringing:
            bell.silence()
            guard connection.send(connection.session.machineMayHaveStopped()) else {
                return connection.session.connectionIsLost()
            }
        case .otherReadable:
            guard let bytes = connection.read(), connection.send(connection.session.receive(bytes)) else {
                return connection.session.connectionIsLost()
            }
        case .timeIsUp, .thirdReady:
            return connection.session.connectionIsLost()
        }
        switch connection.session.phase {
        case .stopped, .running: self.connection = consume connection
        case .detached, .ended: break
        }
    }

    private mutating func waitForDebugger(_ bell: Doorbell) {
        switch bell.wait(until: nil, or: listener.descriptor) {
        case .ringing: bell.silence()
        case .otherReadable:
            // A debugger finds a machine that has stopped.
            guard let socket = listener.accept(), target.pause() else { return }
            connection = Connection(socket: socket, session: RemoteSession(target))
        case .timeIsUp, .thirdReady: break
        }
    }

    /// Says how the run has ended.
    mutating func end(_ reply: String) {
        guard var connection = connection.take() else { return }
        _ = connection.send(connection.session.machineHasEnded(reply))
    }
}

extension RunEnding {
    /// How a debugger is told: `W` and an exit status, or `X` and a signal's number.
    var remoteReply: String {
        func hex(_ number: UInt8) -> String { (number < 16 ? "0" : "") + String(number, radix: 16) }
        return switch self {
        case .halted, .poweredOff, .reset: "W00"
        case .exitPort(let status), .programExited(let status): "W" + hex(status)
        case .programKilled(let number), .signal(let number): "X" + hex(UInt8(truncatingIfNeeded: number))
        case .died, .panicked: "X" + hex(UInt8(SIGSEGV))
        case .timeout: "X" + hex(UInt8(SIGALRM))
        case .stopped: "X" + hex(UInt8(SIGKILL))
        case .failed: "X" + hex(UInt8(SIGABRT))
        }
    }
}
