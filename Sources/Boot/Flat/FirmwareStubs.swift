import GuestImages
package import Memory

/// What a flat guest finds in place of a PC's BIOS: an interrupt vector table whose 256 entries each point at a stub
/// of their own, which calls MiniVMM by an OUT and returns.
///
/// So an exception or INT that the guest has no handler for can be told by its stub, and the guest goes nowhere else.
package enum FirmwareStubs {
    /// The segment of the stubs: that of ``BootLayout/firmware``.
    package static let segment: UInt16 = 0xf000
    /// The port that the stubs write to. An OUT to it from anywhere else is the guest's own.
    package static let port: UInt8 = 0xef

    /// OUT imm8, AL; IRET; NOP. Source: Intel SDM, volume 2.
    private static let stub: [UInt8] = [0xe6, port, 0xcf, 0x90]
    /// The length of the OUT, in bytes.
    private static let outLength: UInt64 = 2
    private static let vectorCount = 256

    /// Writes the vector table, at address 0, and the stubs.
    ///
    /// - Throws: `GuestMemoryError` when the guest's memory has no room for them.
    package static func write(to memory: GuestMemory) throws(GuestMemoryError) {
        for vector in 0..<vectorCount {
            let offset = UInt64(vector * stub.count)
            try memory.write(stub, at: BootLayout.firmware &+ offset)
            // An entry is the offset, then the segment. Source: Intel SDM, volume 3, "Real-address mode".
            let entry = UInt32(offset) | UInt32(segment) << 16
            try memory.store(entry, at: GuestPhysicalAddress(UInt64(vector) * 4))
        }
    }

    /// The vector whose stub executed an OUT, or nil when no stub did.
    ///
    /// - Parameters:
    ///   - codeSegment: The selector in CS.
    ///   - instructionPointer: RIP at the exit: at the OUT, or after it where KVM's emulator ran it.
    package static func vector(codeSegment: UInt16, instructionPointer: UInt64) -> UInt8? {
        guard codeSegment == segment, instructionPointer < UInt64(vectorCount * stub.count) else { return nil }
        let offset = instructionPointer % UInt64(stub.count)
        guard offset == 0 || offset == outLength else { return nil }
        return UInt8(truncatingIfNeeded: instructionPointer / UInt64(stub.count))
    }
}

/// A guest that comes with MiniVMM.
public struct BuiltInGuest: Hashable, Sendable {
    /// The name that `--guest` takes.
    public let name: String
    /// One line that says what the guest shows.
    public let summary: String
    /// The flat image.
    public let image: [UInt8]

    /// All of them, in the order in which they are listed.
    public static var all: [BuiltInGuest] {
        unsafe (0..<guest_image_count()).compactMap { unsafe guest_image_at($0) }.map(unsafe BuiltInGuest.init)
    }

    /// The guest with the given name.
    public init?(named name: String) {
        guard let image = unsafe guest_image_named(name) else { return nil }
        unsafe self.init(image)
    }

    private init(_ image: UnsafePointer<guest_image>) {
        // Sound: the table's strings are constants that end with a zero, and its images lie between start and end.
        name = unsafe String(cString: image.pointee.name)
        summary = unsafe String(cString: image.pointee.summary)
        self.image = unsafe Array(UnsafeBufferPointer(start: image.pointee.start, count: guest_image_size(image)))
    }
}
