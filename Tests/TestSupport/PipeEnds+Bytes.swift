import Glibc

extension PipeEnds {
    /// Waits for a byte, for so long that only a hang takes longer.
    ///
    /// - Returns: The byte; nil at the end of the input.
    func next() -> UInt8? {
        var wanted = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, 60_000) == 1 else { return nil }
        var byte: UInt8 = 0
        return read(reader, &byte, 1) == 1 ? byte : nil
    }

    /// Reads what there is, up to 4096 bytes.
    func available() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(reader, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }

    /// Puts bytes in, no more than the pipe holds, and ends the input.
    func supply(_ bytes: [UInt8]) {
        writeAll(bytes, to: writer)
        closeWriter()
    }
}

/// Writes all of the bytes to a descriptor, or as many as it takes before it fails.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
