import GuestImages

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
        (0..<guest_image_count()).compactMap { guest_image_at($0) }.map(BuiltInGuest.init)
    }

    /// The guest with the given name.
    public init?(named name: String) {
        guard let image = guest_image_named(name) else { return nil }
        self.init(image)
    }

    private init(_ image: UnsafePointer<guest_image>) {
        // Sound: the table's strings are constants that end with a zero, and its images lie between start and end.
        name = String(cString: image.pointee.name)
        summary = String(cString: image.pointee.summary)
        self.image = Array(UnsafeBufferPointer(start: image.pointee.start, count: guest_image_size(image)))
    }
}
