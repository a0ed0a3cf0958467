import Synchronization

/// Watches a console for the words with which a Linux kernel panics, so that the reset that follows can be told from a
/// reboot.
///
/// A guest that prints the words and reboots is taken for one that panicked.
package final class PanicWatch: Sendable {
    /// Source: kernel/panic.c of Linux.
    private static let words = Array("Kernel panic - not syncing".utf8)

    /// How many of the words' bytes have been seen in a row.
    private let matched = Atomic(0)
    private let panicked = Atomic(false)

    /// Whether the words were seen.
    package var hasPanicked: Bool { panicked.load(ordering: .relaxed) }

    /// Looks at the next bytes of the console.
    func see(_ bytes: UnsafeRawBufferPointer) {
        for index in bytes.indices { unsafe see(bytes[index]) }
    }

    /// Looks at the next byte of the console. One thread at a time counts; a byte that two threads bring at once may
    /// spoil a match, and nothing else.
    package func see(_ byte: UInt8) {
        let count = matched.load(ordering: .relaxed)
        // The first byte stands nowhere else in the words but at "K", so a mismatch starts over with this byte.
        let next = byte == Self.words[count] ? count + 1 : byte == Self.words[0] ? 1 : 0
        if next == Self.words.count { panicked.store(true, ordering: .relaxed) }
        matched.store(next % Self.words.count, ordering: .relaxed)
    }
}
