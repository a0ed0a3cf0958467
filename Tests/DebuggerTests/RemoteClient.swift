import CKVM
import Glibc
import XCTest

@testable import Debugger
@testable import Host
@testable import TestSupport

/// A debugger of the tests' own: sends packets and reads answers.
final class RemoteClient {
    private let socket: OwnedDescriptor
    private var decoder = PacketDecoder()
    private var received: [UInt8] = []

    /// What can go wrong.
    enum Failure: Error {
        case cannotConnect(Int32)
        case noAnswer(to: String)
    }

    /// Connects to a listener, and does without acknowledgements.
    convenience init(to listener: LocalListener) throws {
        try self.init(to: listener.place)
    }

    /// Connects to a place, as soon as somebody listens there.
    init(to place: String) throws {
        let port = place.split(separator: ":").last.flatMap { UInt16($0) }
        let deadline = ContinuousClock.now + .seconds(GuestRun.limit)
        var descriptor: Int32
        repeat {
            descriptor = port.map { ckvm_connect_loopback($0) } ?? ckvm_connect_path(place)
        } while [-ENOENT, -ECONNREFUSED].contains(descriptor) && .now < deadline && sched_yield() == 0
        guard descriptor >= 0 else { throw Failure.cannotConnect(descriptor) }
        socket = OwnedDescriptor(takingOver: descriptor)
        XCTAssertEqual(try ask("QStartNoAckMode"), "OK")
        _ = try ask("qSupported:swbreak+;hwbreak+")
    }

    /// Sends a packet.
    func send(_ text: String) { send(bytes: RemotePacket.encode(text.utf8)) }

    /// Sends bytes as they are.
    func send(bytes: [UInt8]) { XCTAssertEqual(ckvm_send(socket.number, bytes, bytes.count), bytes.count) }

    /// Sends a packet, and waits for the answer.
    func ask(_ text: String) throws -> String {
        send(text)
        return try answer(to: text)
    }

    /// Waits for a packet.
    func answer(to text: String) throws -> String {
        while true {
            while !received.isEmpty {
                if case .packet(let payload) = decoder.take(received.removeFirst()) {
                    return String(decoding: payload, as: UTF8.self)
                }
            }
            guard try readMore() else { throw Failure.noAnswer(to: text) }
        }
    }

    /// Whether the server has closed the connection.
    func isClosed() throws -> Bool { try !readMore() }

    private func readMore() throws -> Bool {
        var wanted = [pollfd(fd: socket.number, events: Int16(POLLIN), revents: 0)]
        guard ckvm_poll(&wanted, 1, Int64(GuestRun.limit), 0) > 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = ckvm_read(socket.number, &buffer, buffer.count)
        guard count > 0 else { return false }
        received += buffer[..<count]
        return true
    }

    // MARK: In words

    /// A register, by its number.
    func register(_ number: Int) throws -> UInt64 {
        let text = try ask("p\(String(number, radix: 16))")
        let bytes = try XCTUnwrap(Hexadecimal.bytes(text.utf8), text)
        return bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Four bytes of memory.
    func number(at address: UInt64) throws -> UInt32 {
        let text = try ask("m\(String(address, radix: 16)),4")
        let bytes = try XCTUnwrap(Hexadecimal.bytes(text.utf8), text)
        return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// What `monitor` says.
    func monitor(_ command: String) throws -> String {
        let text = try ask("qRcmd," + Hexadecimal.text(command.utf8))
        return String(decoding: try XCTUnwrap(Hexadecimal.bytes(text.utf8), text), as: UTF8.self)
    }
}
