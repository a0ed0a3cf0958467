import Report

/// What a client of the metrics is answered.
enum MetricsReply: Hashable {
    /// The metrics.
    case metrics(MetricsFormat)
    /// There is nothing else.
    case notFound
    /// They are only to be read.
    case methodNotAllowed
    /// More than a request may have.
    case tooLarge
    /// What came is no request.
    case malformed

    /// The head and the body of the answer, after which the connection ends.
    ///
    /// - Parameters:
    ///   - hasBody: Whether the body is sent, or only its length told.
    ///   - text: Makes the metrics.
    func bytes(hasBody: Bool = true, text: (MetricsFormat) -> String) -> [UInt8] {
        let (status, body, type): (String, String, String) =
            switch self {
            case .metrics(let format): ("200 OK", text(format), format.contentType)
            case .notFound: ("404 Not Found", "The metrics are at /metrics.\n", Self.plain)
            case .methodNotAllowed: ("405 Method Not Allowed", "The metrics are for GET and HEAD.\n", Self.plain)
            case .tooLarge: ("431 Request Header Fields Too Large", "The request is too large.\n", Self.plain)
            case .malformed: ("400 Bad Request", "This is no request of HTTP/1.\n", Self.plain)
            }
        let allow = self == .methodNotAllowed ? "Allow: GET, HEAD\r\n" : ""
        let head =
            "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\(allow)"
            + "Connection: close\r\n\r\n"
        return Array(head.utf8) + (hasBody ? Array(body.utf8) : [])
    }

    private static let plain = "text/plain; charset=utf-8"
}

/// The head of a request of HTTP/1 as it comes in. A body is not waited for.
///
/// Source: RFC 9112, sections 2 and 3; RFC 9110, sections 9.3 and 12.5.1.
struct MetricsRequest {
    /// The most bytes that a head may have.
    static let maximumSize = 8192

    private var bytes: [UInt8] = []
    /// The last of them that is no CR.
    private var last: UInt8?
    /// Whether only the head of the answer is wanted. Known when there is an answer.
    private(set) var isHead = false

    /// Takes what came.
    ///
    /// - Returns: The answer, once it is known.
    mutating func take(_ part: some Collection<UInt8>) -> MetricsReply? {
        // A line ends in LF, with or without CR; the last is empty.
        for byte in part {
            guard bytes.count < Self.maximumSize else { return .tooLarge }
            bytes.append(byte)
            guard byte != UInt8(ascii: "\r") else { continue }
            // Empty lines before the request are passed over.
            if byte == UInt8(ascii: "\n"), last == nil {
                bytes = []
            } else if byte == UInt8(ascii: "\n"), last == byte {
                return answer()
            } else {
                last = byte
            }
        }
        return nil
    }

    private mutating func answer() -> MetricsReply {
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map { line in
            String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
        }
        let words = lines.first?.split(separator: " ", omittingEmptySubsequences: false) ?? []
        guard words.count == 3, words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0" else { return .malformed }
        isHead = words[0] == "HEAD"
        guard words[0] == "GET" || isHead else { return .methodNotAllowed }
        guard words[1].prefix(while: { $0 != "?" }) == "/metrics" else { return .notFound }
        let accepted = lines.dropFirst().compactMap { line -> Substring? in
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "accept" else { return nil }
            return line[line.index(after: colon)...]
        }
        return .metrics(Self.format(accepting: accepted.joined(separator: ",")))
    }

    /// The format that a client likes best; Prometheus's own where it likes both as much, or says nothing.
    static func format(accepting text: String) -> MetricsFormat {
        var (open, plain) = (0.0, 0.0)
        for range in text.split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.filter { !$0.isWhitespace }.lowercased() }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            switch parts.first {
            case "application/openmetrics-text":
                // Of its versions, this one is written.
                let version = parts.dropFirst().first { $0.hasPrefix("version=") }
                if version == nil || version == "version=1.0.0" { open = max(open, quality) }
            case "text/plain", "text/*", "*/*": plain = max(plain, quality)
            default: break
            }
        }
        return open > plain ? .openMetrics : .prometheus
    }
}
