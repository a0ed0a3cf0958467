/// An ELF kernel, entered in 32-bit mode at the address that its PVH note states.
///
/// Source: Xen, docs/misc/pvh.pandoc, "x86/HVM direct boot ABI".
public struct ELFKernel: Sendable {
    private let file: ImageFile
    private let segments: [ELFFile.Segment]
    private let entry: UInt64

    /// COMMAND_LINE_SIZE of x86, without the terminating zero: unlike a bzImage, an ELF kernel does not state it.
    /// Source: Linux, arch/x86/include/asm/setup.h.
    static let greatestCommandLineSize: UInt64 = 2047

    /// Reads and checks the headers of an ELF file.
    ///
    /// - Throws: ``ImageError`` when the file is damaged, has no PVH note, or is not for x86-64.
    public init(_ file: ImageFile) throws(ImageError) {
        let format = ImageFormat(detecting: file.bytes)
        guard let identity = ELFIdentity(file.bytes), identity.isX8664 else {
            throw .unsupported(path: file.path, format)
        }
        // Whether there is a note cannot be told of a file that is damaged.
        let damagedFormat = format == .pvhKernel ? format : .other(identity.description)
        let elf: ELFFile
        do {
            elf = try ELFFile(file.bytes)
        } catch {
            throw .damaged(path: file.path, damagedFormat, problem: error.problem)
        }
        guard let entry = elf.pvhEntry(in: file.bytes) else { throw .unsupported(path: file.path, format) }
        let hasEntry = elf.loadable.contains {
            $0.physicalAddress <= entry && entry - $0.physicalAddress < $0.fileSize
        }
        guard hasEntry, entry <= UInt64(UInt32.max) else {
            let problem = "its entry, \(GuestPhysicalAddress(entry)), is in none of its segments"
            throw .damaged(path: file.path, damagedFormat, problem: problem)
        }
        self.file = file
        self.entry = entry
        segments = elf.loadable
    }

    /// Loads the kernel and what it is given into memory that is still zero.
    ///
    /// - Parameters:
    ///   - memory: Memory that ``BootLayout/regions(memorySize:)`` laid out.
    ///   - arguments: The command line, the initrd, and where the ACPI tables are.
    /// - Throws: ``ImageError`` when something does not fit.
    public func load(into memory: GuestMemory, arguments: BootArguments) throws(ImageError) -> LoadedKernel {
        let occupied = try checkedRange(in: memory)
        try ImageError.loading(file.path) { () throws(GuestMemoryError) in
            for segment in segments {
                // Sound: the bytes lie inside the file, which was checked when the segment was read.
                let bytes = file.bytes[Int(segment.fileOffset)..<Int(segment.fileOffset + segment.fileSize)]
                try memory.write(bytes, at: GuestPhysicalAddress(segment.physicalAddress))
            }
        }
        try arguments.writeCommandLine(limit: Self.greatestCommandLineSize, to: memory, path: file.path)
        var initrd: Range<GuestPhysicalAddress>?
        if let image = arguments.initrd {
            // Linux takes the address over into a field of 32 bits.
            let placement = InitrdPlacement(
                kernelEnd: occupied.upperBound,
                limit: BootLayout.highMemory,
                canUseHighMemory: false
            )
            initrd = try placement.load(image, into: memory)
        }
        let info = StartInfo(
            initrd: initrd,
            acpiRootPointer: arguments.acpiRootPointer,
            memoryMap: MemoryMapEntry.map(of: memory)
        )
        let state = try ImageError.loading(file.path) { () throws(GuestMemoryError) in
            try info.write(to: memory)
            return try entryState(memory)
        }
        return LoadedKernel(entry: state, kernel: occupied, initrd: initrd)
    }

    /// The addresses from the first segment's start to the last one's end: from 1 MiB on, and in memory.
    private func checkedRange(in memory: GuestMemory) throws(ImageError) -> Range<GuestPhysicalAddress> {
        // The entry is in a segment, so there is one; they are in ascending order.
        let start = GuestPhysicalAddress(segments.first?.physicalAddress ?? 0)
        let end = GuestPhysicalAddress(segments.last?.physicalEnd ?? 0)
        guard start >= BootLayout.extendedMemory else {
            let reason = "wants to be loaded at \(start), below 1 MiB, where MiniVMM keeps what it hands over"
            throw .notBootable(path: file.path, .pvhKernel, reason: reason)
        }
        let memoryEnd = GuestPhysicalAddress(memory.regions.first?.end ?? 0)
        guard end <= memoryEnd else { throw .needsMoreMemory(path: file.path, upTo: end, end: memoryEnd) }
        return start..<end
    }

    /// Writes the table that the processor needs, and returns the state in which it enters the kernel.
    private func entryState(_ memory: GuestMemory) throws(GuestMemoryError) -> EntryState {
        let code = SegmentDescriptor.flatCode(selector: DescriptorTable.codeSelector)
        let data = SegmentDescriptor.flatData(selector: DescriptorTable.dataSelector)
        let task = SegmentDescriptor.task(selector: DescriptorTable.taskSelector)
        return EntryState(
            mode: .protected,
            rip: entry,
            rsp: BootLayout.stackEnd.rawValue,
            rbx: BootLayout.startInfo.rawValue,
            code: code,
            data: data,
            task: task,
            descriptorTable: try DescriptorTable.write(code: code, data: data, task: task, to: memory)
        )
    }
}
