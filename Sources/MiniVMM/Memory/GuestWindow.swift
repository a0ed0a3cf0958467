/// A stretch of the guest's memory that a device shares with the guest, checked once and for all.
///
/// The guest may change it at any time, while the device looks at it too.
struct GuestWindow: Sendable {
    /// Keeps the mapping in place.
    private let memory: GuestMemory
    /// Sound to share between threads: the address never changes; see ``GuestMemory`` for the accesses.
    private nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

    /// A stretch of memory.
    ///
    /// - Parameters:
    ///   - memory: The guest's memory.
    ///   - address: Where it starts.
    ///   - size: Its bytes, at least 1.
    /// - Throws: ``GuestMemoryError/outOfBounds(address:byteCount:)`` when it does not lie in one region.
    init(_ memory: GuestMemory, at address: GuestPhysicalAddress, size: Int) throws(GuestMemoryError) {
        let region = memory.regions.first { address >= $0.start && address.rawValue < $0.end }
        guard let region, memory.contains(address, byteCount: UInt64(size))
        else { throw .outOfBounds(address: address, byteCount: UInt64(size)) }
        self.memory = memory
        // Sound: the memory that was just found to hold all the bytes is one region, in which the address lies.
        let start = region.hostAddress + Int(address.rawValue - region.start.rawValue)
        bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    /// Accesses a part. A part that is not wholly inside is a mistake of the program.
    func withBytes<Result>(at offset: Int, count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Result) -> Result {
        // Sound: a slice is checked against the buffer, whose mapping `memory` keeps.
        withExtendedLifetime(memory) { body(UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + count])) }
    }
}
