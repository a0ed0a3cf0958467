import CKVM
import Glibc
import Host
import Report

/// Answers who asks for the metrics, on a thread of its own, for as long as a machine runs.
///
/// Whoever connects gets one answer. There are only so many at a time, each for only so long, and each may send only so
/// much: a client can make others wait, but neither the guest nor the end of the run.
final class MetricsServer: Sendable {
    private let thread: PosixThread
    private let isOver: EndSignal

    /// Begins to serve.
    ///
    /// - Parameters:
    ///   - listener: Where clients connect.
    ///   - patience: How long a client may take, from when it is let in.
    ///   - text: Makes the metrics.
    /// - Throws: `ResourceError` when the system refuses a thread or a descriptor.
    init(
        _ listener: LocalListener, patience: Duration = .seconds(5),
        text: @escaping @Sendable (MetricsFormat) -> String
    ) throws(ResourceError) {
        let isOver = try EndSignal(count: 1)
        self.isOver = isOver
        thread = try PosixThread(name: "metrics") {
            var service = MetricsService(listener: listener, patience: patience, text: text)
            while !isOver.isGiven { service.turn(bell: isOver.bell.descriptor) }
        }
    }

    /// Stops. Who has no answer yet gets none. To be called once.
    func end() {
        isOver.give()
        thread.join()
    }
}

/// The work of the server's thread.
private struct MetricsService {
    /// Who has connected.
    private final class Client {
        let socket: OwnedDescriptor
        let deadline: ContinuousClock.Instant
        var request = MetricsRequest()
        /// What is left of the answer; nil while there is none.
        var answer: ArraySlice<UInt8>?

        init(_ socket: consuming OwnedDescriptor, until deadline: ContinuousClock.Instant) {
            self.socket = socket
            self.deadline = deadline
        }
    }

    let listener: LocalListener
    let patience: Duration
    let text: (MetricsFormat) -> String
    private var clients: [Client] = []
    /// Until when nobody is let in, after the system has refused a descriptor.
    private var pause: ContinuousClock.Instant?

    /// The most clients at a time.
    private static let maximumCount = 8
    private static let pauseLength = Duration.milliseconds(100)
    private static let partSize = 4096

    init(listener: LocalListener, patience: Duration, text: @escaping (MetricsFormat) -> String) {
        self.listener = listener
        self.patience = patience
        self.text = text
    }

    /// Waits until something happens, and does what is to be done then.
    mutating func turn(bell: Int32) {
        if let end = pause, end <= .now { pause = nil }
        let letsIn = clients.count < Self.maximumCount && pause == nil
        var polls = [
            pollfd(fd: bell, events: Int16(POLLIN), revents: 0),
            pollfd(fd: letsIn ? listener.descriptor : -1, events: Int16(POLLIN), revents: 0),
        ]
        polls += clients.map {
            pollfd(fd: $0.socket.number, events: Int16($0.answer == nil ? POLLIN : POLLOUT), revents: 0)
        }
        wait(&polls)
        let now = ContinuousClock.now
        clients = zip(clients, polls.dropFirst(2)).filter { client, poll in
            guard now < client.deadline else { return false }
            return poll.revents == 0 || goOn(client)
        }.map(\.0)
        guard polls[1].revents != 0 else { return }
        if let socket = listener.acceptWithoutWaiting() {
            clients.append(Client(socket, until: now + patience))
        } else {
            pause = now + Self.pauseLength
        }
    }

    private func wait(_ polls: inout [pollfd]) {
        let deadline = (clients.map(\.deadline) + pause.elements).min()
        let limit = deadline.map { max(ContinuousClock.now.duration(to: $0), .zero) }
        let (seconds, attoseconds) = limit?.components ?? (-1, 0)
        // A Duration's part below a second is less than 10^18 attoseconds.
        let result = unsafe ckvm_poll(&polls, nfds_t(polls.count), seconds, attoseconds / 1_000_000_000)
        // A signal for another purpose: nothing was said of any.
        if result < 0 { for index in polls.indices { polls[index].revents = 0 } }
    }

    /// Reads from a client, or writes to it.
    ///
    /// - Returns: Whether there is more to be done.
    private func goOn(_ client: Client) -> Bool {
        guard client.answer == nil else { return send(client) }
        var part = [UInt8](repeating: 0, count: Self.partSize)
        let count = unsafe ckvm_read(client.socket.number, &part, part.count)
        guard count > 0 else { return Self.isToBeTriedAgain(count) }
        guard let reply = client.request.take(part.prefix(count)) else { return true }
        client.answer = reply.bytes(hasBody: !client.request.isHead, text: text)[...]
        return send(client)
    }

    private func send(_ client: Client) -> Bool {
        while let rest = client.answer, !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes { unsafe ckvm_send(client.socket.number, $0.baseAddress, $0.count) }
            guard sent > 0 else { return Self.isToBeTriedAgain(sent) }
            client.answer = rest.dropFirst(sent)
        }
        return false
    }

    private static func isToBeTriedAgain(_ result: Int) -> Bool {
        [-Int(EAGAIN), -Int(EINTR)].contains(result)
    }
}
