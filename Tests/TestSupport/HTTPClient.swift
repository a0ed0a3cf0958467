import CKVM
import Glibc
@testable import Host

/// Who asks a server on this host by HTTP/1.0, which ends the connection after its answer.
final class HTTPClient {
    /// What was answered.
    struct Answer {
        /// The number of the status, such as 200.
        let status: Int
        /// The head, with the status.
        let head: String
        let body: String

        fileprivate init?(_ text: String) {
            guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
            head = String(text[..<end.lowerBound])
            body = String(text[end.upperBound...])
            guard let number = head.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
            status = number
        }
    }

    private let socket: OwnedDescriptor

    /// Connects, as soon as somebody listens there.
    ///
    /// - Parameter place: The loopback address and a port, or a path.
    init(to place: String) throws {
        let port = place.split(separator: ":").last.flatMap { UInt16($0) }
        let deadline = ContinuousClock.now + .seconds(GuestRun.limit)
        var descriptor: Int32
        repeat {
            descriptor = port.map { ckvm_connect_loopback($0) } ?? ckvm_connect_path(place)
        } while [-ENOENT, -ECONNREFUSED].contains(descriptor) && .now < deadline && sched_yield() == 0
        guard descriptor >= 0 else { throw ProcessError.system("connect", ErrorNumber(rawValue: 0 - descriptor)) }
        socket = OwnedDescriptor(takingOver: descriptor)
    }

    /// Sends a text, as far as the server takes it.
    ///
    /// - Returns: Whether it took all of it.
    @discardableResult
    func send(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { ckvm_send(socket.number, $0.baseAddress, $0.count) }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// Reads until the server ends the connection.
    func readToEnd() -> String {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 0x1_0000)
        while true {
            let count = ckvm_read(socket.number, &part, part.count)
            if count == -Int(EINTR) { continue }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += part[..<count]
        }
    }

    /// Asks for a path.
    ///
    /// - Returns: The answer; nil when there was none.
    static func get(_ target: String, from place: String, accept: String? = nil) throws -> Answer? {
        let client = try HTTPClient(to: place)
        client.send("GET \(target) HTTP/1.0\r\n" + (accept.map { "Accept: \($0)\r\n" } ?? "") + "\r\n")
        return Answer(client.readToEnd())
    }
}
