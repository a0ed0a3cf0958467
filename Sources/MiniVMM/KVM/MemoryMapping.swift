import CKVM

/// A mapping of memory with one owner, which unmaps it exactly once.
struct MemoryMapping: ~Copyable, Sendable {
    /// Where the mapping starts.
    ///
    /// Sound to share between threads: the address never changes, and whoever reads or writes through it answers for
    /// the order of the accesses.
    nonisolated(unsafe) let baseAddress: UnsafeMutableRawPointer

    /// Bytes.
    let size: Int

    /// Takes over `size` bytes that mmap(2) returned.
    init(takingOver baseAddress: UnsafeMutableRawPointer, size: Int) {
        self.baseAddress = baseAddress
        self.size = size
    }

    deinit {
        munmap(baseAddress, size)
    }
}
