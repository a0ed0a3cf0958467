import Glibc
@testable import Host

/// The other end of a guest's console: keeps what the guest writes, and types once when the guest has written a text.
final class ConsolePeer: Sendable {
    private let reader: Int32
    private let typed: [UInt8]
    private let prompt: [UInt8]
    private let writer: Int32
    private let received = Locked<[UInt8]>([])

    /// The other end of two pipes, which stay open.
    init(reading reader: Int32, typing typed: [UInt8], after prompt: String, into writer: Int32) {
        self.reader = reader
        self.typed = typed
        self.prompt = Array(prompt.utf8)
        self.writer = writer
    }

    /// What the guest has written so far.
    var text: String { received.withLock { String(decoding: $0, as: UTF8.self) } }

    /// Reads until the pipe's other end is closed.
    func run() {
        var chunk = [UInt8](repeating: 0, count: 4096)
        var hasTyped = typed.isEmpty
        while true {
            let count = read(reader, &chunk, chunk.count)
            guard count > 0 else { return }
            received.withLock { $0 += chunk[..<count] }
            if !hasTyped, hasPrompt {
                hasTyped = true
                type()
            }
        }
    }

    private var hasPrompt: Bool {
        received.withLock { received in received.indices.contains { received[$0...].starts(with: prompt) } }
    }

    private func type() {
        var rest = typed[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(writer, $0.baseAddress, $0.count) }
            // The test notices that the guest got too little.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
