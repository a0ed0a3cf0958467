/// A flat 16-bit guest: an image that is run as a PC runs a boot sector.
public struct FlatGuest: Sendable {
    /// The image.
    public var image: [UInt8]
    /// Where the image is loaded.
    public var loadAddress = FlatGuest.defaultLoadAddress
    /// Where it is entered; nil for its first byte.
    public var entry: SegmentedAddress?
    /// The size of the guest's memory, in bytes.
    public var memorySize = FlatGuest.defaultMemorySize
    /// What the guest finds in ECX.
    public var argument: UInt32 = 0

    /// A guest with the given image.
    public init(image: [UInt8]) {
        self.image = image
    }

    /// Where a PC's BIOS loads a boot sector.
    public static let defaultLoadAddress = BootLayout.bootSector.rawValue
    /// The largest image that is read: as much as a flat guest can have of memory, in bytes.
    public static let greatestImageSize = BootLayout.lowMemoryLimit.rawValue
    /// 16 MiB.
    public static let defaultMemorySize: UInt64 = 16 << 20
}
