@testable import Report
import XCTest

@testable import minivmm_cli

/// What clients ask of the metrics' server, and are answered.
final class MetricsRequestTests: XCTestCase {
    private func reply(_ text: String) -> MetricsReply? {
        var request = MetricsRequest()
        return request.take(Array(text.utf8))
    }

    func testWhatIsAsked() {
        let cases: [(String, MetricsReply?)] = [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", .metrics(.prometheus)),
            ("GET /metrics HTTP/1.0\n\n", .metrics(.prometheus)),
            ("\r\n\r\nGET /metrics?a=b HTTP/1.1\r\n\r\n", .metrics(.prometheus)),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", .metrics(.prometheus)),
            ("GET /metrics HTTP/1.1\r\naCCept:application/openmetrics-text\r\n\r\n", .metrics(.openMetrics)),
            ("GET / HTTP/1.1\r\n\r\n", .notFound), ("GET /metrics/ HTTP/1.1\r\n\r\n", .notFound),
            ("POST /metrics HTTP/1.1\r\n\r\n", .methodNotAllowed), ("get /metrics HTTP/1.1\r\n\r\n", .methodNotAllowed),
            ("GET /metrics\r\n\r\n", .malformed), ("GET /metrics HTTP/2.0\r\n\r\n", .malformed),
            ("GET  /metrics HTTP/1.1\r\n\r\n", .malformed), ("\u{0}\u{ff}\r\n\r\n", .malformed),
            ("GET /metrics HTTP/1.1\r\n", nil), ("GET /metrics HTTP/1.1\r\n\r", nil), ("", nil),
            ("\n" + String(repeating: "\n", count: 10_000), nil),
        ]
        for (text, expected) in cases { XCTAssertEqual(reply(text), expected, text.debugDescription) }
    }

    func testARequestInParts() {
        let text = Array("GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n".utf8)
        for size in 1...text.count {
            var request = MetricsRequest()
            var replies: [MetricsReply?] = []
            for start in stride(from: 0, to: text.count, by: size) {
                replies.append(request.take(text[start..<min(start + size, text.count)]))
            }
            XCTAssertEqual(replies.last, .metrics(.openMetrics), "\(size)")
            XCTAssertTrue(replies.dropLast().allSatisfy { $0 == nil }, "\(size)")
        }
    }

    func testHowMuchItTakes() {
        let start = "GET /metrics HTTP/1.1\r\nX: "
        let rest = MetricsRequest.maximumSize - start.utf8.count - 4
        XCTAssertEqual(
            reply(start + String(repeating: "x", count: rest) + "\r\n\r\n"), .metrics(.prometheus))
        XCTAssertEqual(reply(start + String(repeating: "x", count: rest + 1) + "\r\n\r\n"), .tooLarge)
    }

    /// The first is what Prometheus 2.42 sends.
    func testFormats() {
        let cases: [(String, MetricsFormat)] = [
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics
            ),
            ("", .prometheus), ("*/*", .prometheus), ("text/html", .prometheus),
            ("text/plain;version=0.0.4", .prometheus), ("application/openmetrics-text; version=0.0.1", .prometheus),
            ("application/openmetrics-text; q=0.5, text/plain; q=0.6", .prometheus),
            ("Application/OpenMetrics-Text ; Q=0.7 , text/plain ; q=0.6", .openMetrics),
            ("application/openmetrics-text;q=0", .prometheus), ("application/openmetrics-text;q=nan", .prometheus),
            (";;,,q=;=", .prometheus),
        ]
        for (text, expected) in cases { XCTAssertEqual(MetricsRequest.format(accepting: text), expected, text) }
    }

    func testAnswers() {
        XCTAssertEqual(
            String(decoding: MetricsReply.metrics(.openMetrics).bytes { "\($0)" }, as: UTF8.self),
            "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
                + "Content-Length: 11\r\nConnection: close\r\n\r\nopenMetrics")
        XCTAssertEqual(
            String(decoding: MetricsReply.methodNotAllowed.bytes(hasBody: false) { "\($0)" }, as: UTF8.self),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 34\r\n"
                + "Allow: GET, HEAD\r\nConnection: close\r\n\r\n")
    }
}
