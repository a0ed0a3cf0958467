import Memory

/// A kernel with a Multiboot header, checked against its file: what goes where, and where it is entered.
struct MultibootImage: Sendable {
    /// A stretch of the kernel.
    struct Part: Hashable, Sendable {
        /// Where its bytes stand in the file.
        let fileOffset: UInt64
        /// How many bytes the file has of it.
        let fileSize: UInt64
        /// Where it goes in physical memory.
        let address: UInt64
        /// How many bytes it takes there; what the file has no bytes for is zero.
        let memorySize: UInt64
        /// Whether it holds code, as far as the file says.
        let isExecutable: Bool

        /// Where it ends in memory. The sum was checked when the part was made.
        var end: UInt64 { address &+ memorySize }
    }

    let file: ImageFile
    let header: MultibootHeader
    let isRelocatable: Bool
    /// Ascending by address, without overlaps; one at least.
    let parts: [Part]
    /// The physical address where it is entered.
    let entry: UInt64
    /// What is told of its sections; nil for what is no ELF file, and where its headers are damaged.
    let sections: MultibootSections?

    private var format: ImageFormat { .multiboot(header.version) }

    /// Reads and checks the headers of a file.
    ///
    /// - Throws: ``ImageError`` when the file is damaged, or asks for what MiniVMM does not have.
    init(_ file: ImageFile) throws(ImageError) {
        guard let header = MultibootHeader.find(in: file.bytes) else {
            throw .unsupported(path: file.path, ImageFormat(detecting: file))
        }
        // The code in it is looked through.
        let file = try file.whole()
        let format = ImageFormat.multiboot(header.version)
        let parts: [Part]
        let entry: UInt64
        var sections: MultibootSections?
        do throws(MultibootRequest.Problem) {
            let request = try MultibootRequest(header, in: file.bytes)
            isRelocatable = request.isRelocatable
            if let addresses = request.addresses {
                guard let asked = request.entry else { throw MultibootRequest.Problem.damaged("it states no entry") }
                parts = [try Self.part(addresses, header, file.bytes)]
                entry = UInt64(asked)
            } else {
                let format = try Self.format(ofELF: file)
                (parts, entry) = try Self.parts(ofELF: file, format, entry: request.entry)
                sections = MultibootSections(file, format)
            }
            guard parts.contains(where: { $0.address <= entry && entry < $0.end }) else {
                throw MultibootRequest.Problem.damaged(
                    "its entry, \(GuestPhysicalAddress(entry)), is in nothing that is loaded")
            }
        } catch {
            switch error {
            case .damaged(let problem): throw .damaged(path: file.path, format, problem: problem)
            case .refused(let reason): throw .notBootable(path: file.path, format, reason: reason)
            }
        }
        self.file = file
        self.header = header
        self.parts = parts
        self.entry = entry
        self.sections = sections
    }

    /// What the addresses of a header come to.
    private static func part(
        _ addresses: MultibootHeader.Addresses, _ header: MultibootHeader, _ bytes: [UInt8]
    ) throws(MultibootRequest.Problem) -> Part {
        let fileSize = UInt64(bytes.count)
        let start = addresses.loadStart.map(UInt64.init) ?? (UInt64(addresses.header) &- header.offset)
        // How far the file's bytes before the header are loaded as well. Of the first byte on, when nothing was said;
        // a header that lies nearer to 0 than to the file's start wraps, and is refused.
        let (lead, isBefore) = UInt64(addresses.header).subtractingReportingOverflow(start)
        guard !isBefore, lead <= header.offset else {
            throw .damaged("its Multiboot header does not lie where the header itself says")
        }
        let fileOffset = header.offset - lead
        var size = fileSize - fileOffset
        if addresses.loadEnd != 0 {
            let (stated, isNegative) = UInt64(addresses.loadEnd).subtractingReportingOverflow(start)
            guard !isNegative, stated > 0, stated <= size else {
                throw .damaged("what its Multiboot header wants loaded is not in the file")
            }
            size = stated
        }
        let memoryEnd = max(start + size, UInt64(addresses.zeroEnd))
        return Part(
            fileOffset: fileOffset, fileSize: size, address: start, memorySize: memoryEnd - start, isExecutable: true)
    }

    /// Whether an ELF file has 32 or 64 bits.
    private static func format(ofELF file: ImageFile) throws(MultibootRequest.Problem) -> ELFClass {
        guard let identity = ELFIdentity(file.bytes), identity.isX86 || identity.isX8664 else {
            throw .damaged("it states no addresses, and is no ELF file for x86")
        }
        return identity.is64Bit ? .wide : .narrow
    }

    /// The segments of an ELF file, and where it is entered.
    private static func parts(
        ofELF file: ImageFile, _ format: ELFClass, entry asked: UInt32?
    ) throws(MultibootRequest.Problem) -> ([Part], entry: UInt64) {
        let elf: ELFFile
        do {
            elf = try ELFFile(file, format)
        } catch {
            throw .damaged(error.problem)
        }
        guard !elf.loadable.isEmpty, let stated = format.word(file.bytes, at: format.entry)
        else { throw .damaged("it has nothing to load") }
        let parts = elf.loadable.map {
            Part(
                fileOffset: $0.fileOffset, fileSize: $0.fileSize, address: $0.physicalAddress,
                memorySize: $0.memorySize, isExecutable: $0.isExecutable)
        }
        if let asked { return (parts, UInt64(asked)) }
        // The header names an address of the kernel's own; it is entered without paging.
        let home = elf.loadable.first { $0.virtualAddress <= stated && stated - $0.virtualAddress < $0.memorySize }
        return (parts, home.map { $0.physicalAddress &+ (stated &- $0.virtualAddress) } ?? stated)
    }

    /// The code, as far as the file tells it from data.
    var code: [LoadedCode] {
        parts.filter(\.isExecutable).map { part in
            // The file has the bytes, which was checked when the part was made.
            let bytes = file.bytes.part(at: part.fileOffset, count: part.fileSize) ?? []
            return LoadedCode(Array(bytes), at: part.address)
        }
    }

    /// What the kernel takes of memory, from its first part to its last one's end.
    var range: Range<GuestPhysicalAddress> {
        GuestPhysicalAddress(parts.first?.address ?? 0)..<GuestPhysicalAddress(parts.last?.end ?? 0)
    }

    /// Loads the parts into memory that is still zero.
    ///
    /// - Throws: ``ImageError`` when one is where there is no memory, or where a PC has its screen and its firmware.
    func load(into memory: GuestMemory) throws(ImageError) {
        let end = GuestPhysicalAddress(memory.regions.first?.end ?? 0)
        for part in parts {
            guard part.end <= BootLayout.baseMemoryEnd.rawValue || part.address >= BootLayout.extendedMemory.rawValue
            else {
                let reason =
                    "wants to be loaded at \(GuestPhysicalAddress(part.address)), and from 640 KiB to 1 MiB a PC has "
                    + "its screen and its firmware"
                throw .notBootable(path: file.path, format, reason: reason)
            }
            guard part.end <= end.rawValue else {
                throw .needsMoreMemory(path: file.path, upTo: GuestPhysicalAddress(part.end), end: end)
            }
            // The sum was checked when the part was made.
            let bytes = part.fileOffset..<part.fileOffset + part.fileSize
            try file.load(bytes, into: memory, at: GuestPhysicalAddress(part.address))
        }
    }
}
