/// The disk that a flat guest boots from: the bytes of its image, in sectors.
///
/// It answers as the first floppy disk and as the first hard disk alike, so that a guest that names either finds what it
/// was booted from. What lies past the image's end, and still on the medium, reads as zeros.
public struct BootDisk: Hashable, Sendable {
    /// The image.
    public let bytes: [UInt8]
    /// How sectors are told by cylinder, head and sector.
    public var geometry: Geometry { Self.geometry(of: bytes.count) }

    /// The sectors of a disk by cylinder, head and sector.
    public struct Geometry: Hashable, Sendable {
        /// How many cylinders there are, numbered from 0.
        public let cylinders: Int
        /// How many heads there are, numbered from 0.
        public let heads: Int
        /// The sectors of a track, numbered from 1.
        public let sectors: Int

        /// All sectors.
        package var count: Int { cylinders * heads * sectors }
    }

    /// The bytes of a sector.
    package static let sectorSize = 512
    /// The numbers of the drives, as a BIOS counts them.
    package static let firstFloppy: UInt8 = 0x00
    package static let firstHardDisk: UInt8 = 0x80

    /// The floppy disks of PCs. Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 13h, diskette".
    private static let floppies = [
        Geometry(cylinders: 40, heads: 2, sectors: 9), Geometry(cylinders: 80, heads: 2, sectors: 9),
        Geometry(cylinders: 80, heads: 2, sectors: 15), Geometry(cylinders: 80, heads: 2, sectors: 18),
        Geometry(cylinders: 80, heads: 2, sectors: 36),
    ]
    /// What a floppy disk of no other size is: 1.44 MB.
    private static let usualFloppy = floppies[3]

    /// The bytes of whole floppy disks.
    package static let floppySizes = floppies.map { $0.count * sectorSize }

    /// A disk with the given image.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Whether an image starts with a boot sector. Source: IBM PC BIOS, INT 19h.
    package static func isBootable(_ bytes: [UInt8]) -> Bool {
        bytes.hasBytes([0x55, 0xaa], at: sectorSize - 2)
    }

    /// What is no larger than a floppy disk is taken for one; all else is a hard disk with as many heads as its size
    /// takes, so that its cylinders can be counted with 10 bits.
    private static func geometry(of size: Int) -> Geometry {
        if let whole = floppies.first(where: { $0.count * sectorSize == size }) { return whole }
        if size <= usualFloppy.count * sectorSize { return usualFloppy }
        let sectors = (size + sectorSize - 1) / sectorSize
        let perTrack = 63
        let heads = [16, 32, 64, 128].first { sectors <= 1024 * $0 * perTrack } ?? 255
        let cylinders = min(max(1, (sectors + heads * perTrack - 1) / (heads * perTrack)), 1024)
        return Geometry(cylinders: cylinders, heads: heads, sectors: perTrack)
    }

    /// Whether it is a hard disk by its geometry.
    package var isHardDisk: Bool { !Self.floppies.contains(geometry) }

    /// All sectors of the medium: those of the image, and those that its geometry has more.
    package var sectorCount: UInt64 {
        let ofImage = (bytes.count + Self.sectorSize - 1) / Self.sectorSize
        return UInt64(isHardDisk ? ofImage : max(ofImage, geometry.count))
    }

    /// The number of a sector, or nil where there is none.
    package func sector(cylinder: Int, head: Int, sector: Int) -> UInt64? {
        guard 0..<geometry.cylinders ~= cylinder, 0..<geometry.heads ~= head, 1...geometry.sectors ~= sector
        else { return nil }
        return UInt64((cylinder * geometry.heads + head) * geometry.sectors + sector - 1)
    }

    /// The bytes of sectors, or nil when some of them are not on the medium.
    package func read(_ first: UInt64, count: UInt64) -> [UInt8]? {
        let (end, isPastEnd) = first.addingReportingOverflow(count)
        guard !isPastEnd, end <= sectorCount else { return nil }
        // The medium has no more bytes than an Int counts.
        let start = Int(first) * Self.sectorSize
        let size = Int(count) * Self.sectorSize
        let present = start < bytes.count ? bytes[start..<min(start + size, bytes.count)] : []
        return present + [UInt8](repeating: 0, count: size - present.count)
    }
}
