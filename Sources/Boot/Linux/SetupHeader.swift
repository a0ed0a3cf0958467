import Memory

/// The setup header of a bzImage, checked against the file.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
package struct SetupHeader: Sendable {
    /// The header as the file has it: what goes into `boot_params` at ``Offset/start``.
    package let bytes: ArraySlice<UInt8>
    /// Where the protected-mode part stands in the file; it goes on to the file's end.
    let payloadOffset: UInt64
    /// The bytes of the protected-mode part.
    let payloadSize: UInt64
    /// Whether the kernel runs at another address than it was built for.
    let isRelocatable: Bool
    /// What the kernel's address must be a multiple of: a power of two.
    package let alignment: UInt64
    /// Where the kernel wants to run; 0 for no wish.
    let preferredAddress: UInt64
    /// How many bytes the kernel needs from the address where it runs until it knows its memory map.
    let runtimeSize: UInt64
    /// The address before which the initrd must end: one past the highest that the header states.
    let initrdLimit: GuestPhysicalAddress
    /// Whether the initrd may lie beyond that limit, even above 4 GiB.
    let canUseHighMemory: Bool
    /// The most bytes of a command line, without its terminating zero.
    let maximumCommandLineSize: UInt64

    /// Where the fields stand, in the file and in `boot_params` alike.
    package enum Offset {
        package static let start: UInt64 = 0x1f1
        static let setupSectors: UInt64 = 0x1f1
        static let payloadParagraphs: UInt64 = 0x1f4
        static let bootFlag: UInt64 = 0x1fe
        /// The second byte of a short jump over the header: how far the header reaches from here on.
        static let jumpDistance: UInt64 = 0x201
        package static let magic: UInt64 = 0x202
        package static let version: UInt64 = 0x206
        static let loaderType: UInt64 = 0x210
        static let loadFlags: UInt64 = 0x211
        static let code32Start: UInt64 = 0x214
        static let initrdAddress: UInt64 = 0x218
        static let initrdSize: UInt64 = 0x21c
        static let commandLineAddress: UInt64 = 0x228
        static let maximumInitrdAddress: UInt64 = 0x22c
        package static let alignment: UInt64 = 0x230
        static let isRelocatable: UInt64 = 0x234
        static let extendedLoadFlags: UInt64 = 0x236
        static let commandLineSize: UInt64 = 0x238
        static let setupData: UInt64 = 0x250
        static let preferredAddress: UInt64 = 0x258
        static let runtimeSize: UInt64 = 0x260
        /// The end of the fields that protocol 2.12 has.
        static let end212: UInt64 = 0x268
        /// Where the next field of `boot_params` stands; the header ends here at the latest.
        static let maximumEnd: UInt64 = 0x290
    }

    /// Where the 64-bit entry stands in the protected-mode part.
    static let entryOffset: UInt64 = 0x200

    private static let bootFlag: UInt16 = 0xaa55
    /// "HdrS".
    private static let magic: UInt32 = 0x5372_6448
    /// 2.12, of Linux 3.8: the first that states its 64-bit entry.
    private static let leastVersion: UInt16 = 0x020c
    private static let sectorSize: UInt64 = 512
    private static let defaultSetupSectors: UInt8 = 4
    private static let paragraphSize: UInt64 = 16
    /// LOADED_HIGH: the protected-mode part goes to 1 MiB, not to 64 KiB.
    private static let loadedHigh: UInt8 = 1 << 0
    /// XLF_KERNEL_64: there is a 64-bit entry.
    private static let has64BitEntry: UInt16 = 1 << 0
    /// XLF_CAN_BE_LOADED_ABOVE_4G: kernel, `boot_params`, command line and initrd may lie above 4 GiB.
    private static let canBeAbove4GiB: UInt16 = 1 << 1

    /// Whether a file is a bzImage.
    static func isPresent(in file: [UInt8]) -> Bool {
        file.integer(UInt16.self, at: Offset.bootFlag) == bootFlag
            && file.integer(UInt32.self, at: Offset.magic) == magic
    }

    /// Reads and checks the header of a bzImage.
    ///
    /// - Throws: ``ImageError/damaged(path:_:problem:)`` or ``ImageError/notBootable(path:_:reason:)``.
    init(_ file: ImageFile) throws(ImageError) {
        let bytes = file.bytes
        guard bytes.count >= Offset.end212 else { throw .damaged(path: file.path, .bzImage, problem: Self.cutOff) }
        try Self.checkKind(file)
        self.bytes = try Self.headerBytes(file)
        (payloadOffset, payloadSize) = try Self.payload(file)

        // The header lies inside the file, so that no default is ever taken.
        isRelocatable = bytes.integer(UInt8.self, at: Offset.isRelocatable) ?? 0 != 0
        alignment = UInt64(bytes.integer(UInt32.self, at: Offset.alignment) ?? 0)
        guard !isRelocatable || alignment.nonzeroBitCount == 1 else {
            throw .damaged(path: file.path, .bzImage, problem: "its alignment, \(alignment), is no power of two")
        }
        preferredAddress = bytes.integer(UInt64.self, at: Offset.preferredAddress) ?? 0
        runtimeSize = UInt64(bytes.integer(UInt32.self, at: Offset.runtimeSize) ?? 0)
        let maximumInitrdAddress = bytes.integer(UInt32.self, at: Offset.maximumInitrdAddress) ?? 0
        initrdLimit = GuestPhysicalAddress(UInt64(maximumInitrdAddress) + 1)
        let flags = bytes.integer(UInt16.self, at: Offset.extendedLoadFlags) ?? 0
        canUseHighMemory = flags & Self.canBeAbove4GiB != 0
        maximumCommandLineSize = UInt64(bytes.integer(UInt32.self, at: Offset.commandLineSize) ?? 0)
    }

    private static let cutOff = "it ends inside its setup header"

    /// Whether the kernel is new enough, big and 64-bit.
    private static func checkKind(_ file: ImageFile) throws(ImageError) {
        let version = file.bytes.integer(UInt16.self, at: Offset.version) ?? 0
        guard version >= leastVersion else {
            let minor = version & 0xff
            let number = "\(version >> 8).\(minor < 10 ? "0" : "")\(minor)"
            throw .notBootable(
                path: file.path,
                .bzImage,
                reason: "uses version \(number) of the boot protocol, and MiniVMM needs 2.12 or later"
            )
        }
        let loadFlags = file.bytes.integer(UInt8.self, at: Offset.loadFlags) ?? 0
        guard loadFlags & loadedHigh != 0 else {
            throw .notBootable(path: file.path, .bzImage, reason: "wants to be loaded below 1 MiB, as a zImage does")
        }
        let extendedFlags = file.bytes.integer(UInt16.self, at: Offset.extendedLoadFlags) ?? 0
        guard extendedFlags & has64BitEntry != 0 else {
            throw .notBootable(path: file.path, .bzImage, reason: "has no 64-bit entry: it is a 32-bit kernel")
        }
    }

    /// The header's own bytes; how many, it says itself.
    private static func headerBytes(_ file: ImageFile) throws(ImageError) -> ArraySlice<UInt8> {
        let distance = file.bytes.integer(UInt8.self, at: Offset.jumpDistance) ?? 0
        let end = min(Offset.magic + UInt64(distance), Offset.maximumEnd)
        guard end >= Offset.end212, let bytes = file.bytes.part(at: Offset.start, count: end - Offset.start)
        else { throw .damaged(path: file.path, .bzImage, problem: cutOff) }
        return bytes
    }

    /// Where the protected-mode part stands in the file, and its size.
    private static func payload(_ file: ImageFile) throws(ImageError) -> (offset: UInt64, size: UInt64) {
        let stated = file.bytes.integer(UInt8.self, at: Offset.setupSectors) ?? 0
        let sectors = stated == 0 ? defaultSetupSectors : stated
        // The boot sector itself is not counted.
        let offset = (UInt64(sectors) + 1) * sectorSize
        let fileSize = file.size
        let paragraphs = UInt64(file.bytes.integer(UInt32.self, at: Offset.payloadParagraphs) ?? 0)
        // The entry stands in the protected-mode part, whatever size is stated.
        let needed = offset + max(paragraphs * paragraphSize, Self.entryOffset + 1)
        guard needed <= fileSize else {
            let problem = "its parts need \(needed) bytes, and the file has \(fileSize)"
            throw .damaged(path: file.path, .bzImage, problem: problem)
        }
        return (offset, fileSize - offset)
    }
}
