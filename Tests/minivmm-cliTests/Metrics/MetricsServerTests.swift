import CKVM
@testable import Host
@testable import Report
import Synchronization
@testable import TestSupport
import XCTest

@testable import minivmm_cli

/// Clients of the metrics' server that mean no good.
final class MetricsServerTests: XCTestCase {
    /// A long time, for tests in which nobody is to be given up.
    private static let long = Duration.seconds(600)

    private func server(
        patience: Duration, _ text: @escaping @Sendable (MetricsFormat) -> String = { "\($0)\n" }
    ) throws -> (place: String, end: () -> Void) {
        let listener = try LocalListener(at: .port(0))
        let server = try MetricsServer(listener, patience: patience, text: text)
        return (listener.place, server.end)
    }

    func testAnswersOneAfterTheOther() throws {
        let (place, end) = try server(patience: Self.long)
        defer { end() }
        for _ in 0..<20 {
            let answer = try XCTUnwrap(HTTPClient.get("/metrics", from: place))
            XCTAssertEqual(answer.status, 200)
            XCTAssertEqual(answer.body, "prometheus\n")
        }
        let open = try HTTPClient.get("/metrics", from: place, accept: "application/openmetrics-text")
        XCTAssertEqual(open?.body, "openMetrics\n")
        XCTAssertEqual(try HTTPClient.get("/", from: place)?.status, 404)
    }

    /// Seven that say nothing, or not all, leave room for one. When there are eight, the ninth waits until one goes.
    func testAsManyAsThereMayBe() throws {
        let (place, end) = try server(patience: Self.long)
        defer { end() }
        var silent = try (0..<7).map { _ in try HTTPClient(to: place) }
        for client in silent.prefix(3) { client.send("GET /metrics HTT") }
        XCTAssertEqual(try HTTPClient.get("/metrics", from: place)?.status, 200)
        silent.append(try HTTPClient(to: place))
        let ninth = try HTTPClient(to: place)
        ninth.send("GET /metrics HTTP/1.0\r\n\r\n")
        silent.removeFirst()
        XCTAssertTrue(ninth.readToEnd().hasSuffix("prometheus\n"))
    }

    func testOneThatTakesTooLong() throws {
        let (place, end) = try server(patience: .milliseconds(50))
        defer { end() }
        let client = try HTTPClient(to: place)
        client.send("GET /metrics HTTP/1.0\r\nX:")
        XCTAssertEqual(client.readToEnd(), "")
    }

    /// Each is answered more than the sockets' buffers hold, and reads none of it. Those that say nothing take their places as
    /// they are given up, and who comes last gets an answer when there is a place again: by then all are.
    func testAsManyAsThereMayBeThatDoNotRead() throws {
        let large = String(repeating: "x", count: 8 << 20)
        let (place, end) = try server(patience: .milliseconds(300)) { $0 == .openMetrics ? large : "small" }
        defer { end() }
        let lazy = try (0..<8).map { _ in try HTTPClient(to: place) }
        for client in lazy {
            client.send("GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n\r\n")
        }
        let silent = try lazy.map { _ in try HTTPClient(to: place) }
        defer { withExtendedLifetime(silent) {} }
        XCTAssertEqual(try HTTPClient.get("/metrics", from: place)?.body, "small")
        for client in lazy { XCTAssertLessThan(client.readToEnd().utf8.count, large.utf8.count) }
    }

    func testOneThatSendsTooMuch() throws {
        let (place, end) = try server(patience: Self.long)
        defer { end() }
        let client = try HTTPClient(to: place)
        while client.send(String(repeating: "x", count: 4096)) {}
        XCTAssertEqual(try HTTPClient.get("/metrics", from: place)?.status, 200)
        let head = try HTTPClient(to: place)
        head.send(String(repeating: "x", count: MetricsRequest.maximumSize + 1))
        XCTAssertTrue(head.readToEnd().hasPrefix("HTTP/1.1 431 "))
    }

    /// Each is gone before it can be answered.
    func testManyThatAreCutOff() throws {
        let (place, end) = try server(patience: Self.long) { _ in String(repeating: "x", count: 1 << 20) }
        defer { end() }
        for part in ["", "GET", "GET /metrics HTTP/1.0\r\n", "GET /metrics HTTP/1.0\r\n\r\n"] {
            for _ in 0..<25 { try HTTPClient(to: place).send(part) }
        }
        XCTAssertEqual(try HTTPClient.get("/metrics", from: place)?.body.utf8.count, 1 << 20)
    }

    /// The end waits for nobody: neither for who says nothing nor for who does not read.
    func testEndsWhileClientsAreThere() throws {
        let made = Atomic(false)
        let (place, end) = try server(patience: Self.long) { _ in
            made.store(true, ordering: .releasing)
            return String(repeating: "x", count: 16 << 20)
        }
        let clients = try (0..<4).map { _ in try HTTPClient(to: place) }
        clients[0].send("GET /metrics HTTP/1.0\r\n\r\n")
        while !made.load(ordering: .acquiring) { sched_yield() }
        end()
        XCTAssertEqual(clients[1].readToEnd(), "")
    }
}
