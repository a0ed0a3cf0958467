@testable import Boot

/// Small kernels with a Multiboot header: of either version, as ELF files or with addresses of their own.
struct SampleMultiboot {
    enum Form {
        /// ELF for x86, of 32 bits.
        case elf32
        /// ELF for x86-64.
        case elf64
        /// No ELF file: its header says where it goes.
        case addresses
    }

    var version = MultibootVersion.one
    var form = Form.elf32
    /// Where the header goes, and the code behind it.
    var address: UInt32 = 0x10_0000
    /// How far from its address an ELF kernel says it will run.
    var displacement: UInt64 = 0
    /// The flags of version 1 besides those of the form.
    var flags: UInt32 = 0
    /// Tags of version 2 besides those of the form.
    var tags: [UInt8] = []
    /// Zeros behind the code.
    var zeros: UInt32 = 0x1000
    /// Bytes before the header.
    var lead: [UInt8] = []
    var code: [UInt8] = []
    /// Bytes behind the ELF file's own, each of a section without an address and aligned to 16; none for no sections.
    var sections: [[UInt8]] = []

    /// The code's address.
    var entry: UInt32 { address + UInt32(lead.count) + headerSize }

    private var headerSize: UInt32 {
        switch (version, form) {
        // With room for a video mode.
        case (.one, .elf32), (.one, .elf64), (.one, .addresses): 48
        case (.two, .addresses): 64 + UInt32(tags.count)
        case (.two, _): 24 + UInt32(tags.count)
        }
    }

    static func words(_ values: UInt32...) -> [UInt8] {
        values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) } }
    }

    private var header: [UInt8] {
        let start = address + UInt32(lead.count)
        let addresses = Self.words(start, address, 0, entry + UInt32(code.count) + zeros)
        switch version {
        case .one:
            let flags = flags | (form == .addresses ? 1 << 16 : 0)
            let magic: UInt32 = 0x1bad_b002
            let fixed = Self.words(magic, flags, 0 &- magic &- flags)
            let rest = (form == .addresses ? addresses + Self.words(entry) : [UInt8](repeating: 0, count: 20))
            return fixed + rest + [UInt8](repeating: 0, count: 16)
        case .two:
            let magic: UInt32 = 0xe852_50d6
            var list = tags
            if form == .addresses {
                list += Self.words(2, 24) + addresses + Self.words(3, 12, entry, 0)
            }
            list += Self.words(0, 8)
            return Self.words(magic, 0, headerSize, 0 &- magic &- headerSize) + list
        }
    }

    /// The bytes that are loaded.
    var image: [UInt8] { lead + header + code }

    var bytes: [UInt8] {
        form == .addresses ? image : elf
    }

    /// The bytes of an ELF file's headers.
    static let elfHeaderSize = 0x80

    private var elf: [UInt8] {
        let is64 = form == .elf64
        var bytes = [UInt8](repeating: 0, count: Self.elfHeaderSize)
        bytes.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1])
        bytes.set(UInt16(2), at: 16)
        bytes.set(UInt16(is64 ? 62 : 3), at: 18)
        let entry = UInt64(entry) &+ displacement
        let size = UInt64(image.count)
        let memorySize = size + UInt64(zeros)
        if is64 {
            bytes.set(entry, at: 24)
            bytes.set(UInt64(64), at: 32)
            bytes.set(UInt16(56), at: 54)
            bytes.set(UInt16(1), at: 56)
            bytes.set(UInt32(1), at: 64)
            bytes.set(UInt32(7), at: 68)
            for (index, value) in [
                UInt64(Self.elfHeaderSize), UInt64(address) &+ displacement, UInt64(address), size, memorySize,
            ].enumerated() {
                bytes.set(value, at: 72 + 8 * index)
            }
        } else {
            bytes.set(UInt32(truncatingIfNeeded: entry), at: 24)
            bytes.set(UInt32(52), at: 28)
            bytes.set(UInt16(32), at: 42)
            bytes.set(UInt16(1), at: 44)
            let virtual = UInt32(truncatingIfNeeded: UInt64(address) &+ displacement)
            for (index, value) in [
                1, UInt32(Self.elfHeaderSize), virtual, address, UInt32(size), UInt32(memorySize), 7,
            ].enumerated() {
                bytes.set(value, at: 52 + 4 * index)
            }
        }
        if !sections.isEmpty {
            let table = Self.elfHeaderSize + image.count + sections.reduce(0) { $0 + $1.count }
            if is64 { bytes.set(UInt64(table), at: 40) } else { bytes.set(UInt32(table), at: 32) }
            for (index, value) in [is64 ? 64 : 40, sections.count + 2, sections.count + 1].enumerated() {
                bytes.set(UInt16(value), at: (is64 ? 58 : 46) + 2 * index)
            }
        }
        return bytes + image + sectionTable
    }

    /// The sections' bytes, and behind them their headers: first one of nothing, then one of the code, then theirs. The
    /// last one is for the names.
    private var sectionTable: [UInt8] {
        guard !sections.isEmpty else { return [] }
        let is64 = form == .elf64
        var content: [UInt8] = []
        var headers: [[UInt64]] = [
            [0, 0, 0, 0, 0, 0], [1, 6, UInt64(entry), 0, UInt64(code.count), 1],
        ]
        for section in sections {
            let offset = UInt64(Self.elfHeaderSize + image.count + content.count)
            headers.append([3, 0, 0, offset, UInt64(section.count), 16])
            content += section
        }
        for header in headers {
            var bytes = [UInt8](repeating: 0, count: is64 ? 64 : 40)
            bytes.set(UInt32(header[0]), at: 4)
            let words = is64 ? [8, 16, 24, 32, 48] : [8, 12, 16, 20, 32]
            for (value, offset) in zip(header.dropFirst(), words) {
                if is64 { bytes.set(value, at: offset) } else { bytes.set(UInt32(value), at: offset) }
            }
            content += bytes
        }
        return content
    }

    var file: ImageFile { ImageFile(path: "/some/where/kernel.flat", bytes: bytes) }
}

extension SampleMultiboot {
    /// Prints its command line, and on a line each what it was told of each module and that module's content; ends with
    /// status 7, or with 1 where the registers are not those that Multiboot wants.
    static let printer: [UInt8] = [
        0x3d, 0x02, 0xb0, 0xad, 0x2b,  // cmp eax, 0x2badb002
        0x75, 0x3e,  // jne to the mov al, 0x1
        0x85, 0xed,  // test ebp, ebp
        0x75, 0x3a,  // jne to the mov al, 0x1
        0x8d, 0x3b,  // lea edi, [ebx]
        0x8b, 0x77, 0x10,  // mov esi, dword [edi+0x10]
        0xe8, 0x34, 0x00, 0x00, 0x00,  // call the last lods
        0x8b, 0x4f, 0x14,  // mov ecx, dword [edi+0x14]
        0x8b, 0x7f, 0x18,  // mov edi, dword [edi+0x18]
        0xe3, 0x24,  // jecxz to the mov al, 0x7
        0xb0, 0x0a,  // mov al, 0xa
        0xe6, 0xe9,  // out 0xe9, al
        0x8b, 0x77, 0x08,  // mov esi, dword [edi+0x8]
        0xe8, 0x20, 0x00, 0x00, 0x00,  // call the last lods
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0xe9,  // out 0xe9, al
        0x8b, 0x37,  // mov esi, dword [edi]
        0x8b, 0x57, 0x04,  // mov edx, dword [edi+0x4]
        0x39, 0xd6,  // cmp esi, edx
        0x73, 0x05,  // jae to the add edi, 0x10
        0xac,  // lods al, byte ds:[esi]
        0xe6, 0xe9,  // out 0xe9, al
        0xeb, 0xf7,  // jmp to the cmp esi, edx
        0x83, 0xc7, 0x10,  // add edi, 0x10
        0x49,  // dec ecx
        0xeb, 0xda,  // jmp to the jecxz
        0xb0, 0x07,  // mov al, 0x7
        0xe6, 0xf4,  // out 0xf4, al
        0xb0, 0x01,  // mov al, 0x1
        0xe6, 0xf4,  // out 0xf4, al
        0xac,  // lods al, byte ds:[esi]
        0x84, 0xc0,  // test al, al
        0x74, 0x04,  // je to the ret
        0xe6, 0xe9,  // out 0xe9, al
        0xeb, 0xf7,  // jmp to the lods
        0xc3,  // ret
    ]

    /// The same for Multiboot 2: prints the texts of its tags, a line each.
    static let tagPrinter: [UInt8] = [
        0x3d, 0x89, 0x62, 0xd7, 0x36,  // cmp eax, 0x36d76289
        0x75, 0x3b,  // jne to the mov al, 0x1
        0x8d, 0x73, 0x08,  // lea esi, [ebx+0x8]
        0x8b, 0x06,  // mov eax, dword [esi]
        0x85, 0xc0,  // test eax, eax
        0x74, 0x2e,  // je to the mov al, 0x7
        0x8d, 0x56, 0x08,  // lea edx, [esi+0x8]
        0x83, 0xf8, 0x03,  // cmp eax, 0x3
        0x75, 0x05,  // jne to the cmp eax, 0x2
        0x8d, 0x56, 0x10,  // lea edx, [esi+0x10]
        0xeb, 0x05,  // jmp to the mov al, byte [edx]
        0x83, 0xf8, 0x02,  // cmp eax, 0x2
        0x77, 0x0f,  // ja to the mov eax, dword [esi+0x4]
        0x8a, 0x02,  // mov al, byte [edx]
        0x42,  // inc edx
        0x84, 0xc0,  // test al, al
        0x74, 0x04,  // je to the mov al, 0xa
        0xe6, 0xe9,  // out 0xe9, al
        0xeb, 0xf5,  // jmp to the mov al, byte [edx]
        0xb0, 0x0a,  // mov al, 0xa
        0xe6, 0xe9,  // out 0xe9, al
        0x8b, 0x46, 0x04,  // mov eax, dword [esi+0x4]
        0x83, 0xc0, 0x07,  // add eax, 0x7
        0x83, 0xe0, 0xf8,  // and eax, 0xfffffff8
        0x01, 0xc6,  // add esi, eax
        0xeb, 0xcc,  // jmp to the mov eax, dword [esi]
        0xb0, 0x07,  // mov al, 0x7
        0xe6, 0xf4,  // out 0xf4, al
        0xb0, 0x01,  // mov al, 0x1
        0xe6, 0xf4,  // out 0xf4, al
    ]
}
