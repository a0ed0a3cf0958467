import MiniVMM

/// A guest in real mode that uses the tally: it prints `I` at the interrupt, the sum, and `A` when ACPI names the device.
///
/// A flat guest has neither interrupt controllers nor ACPI tables, so this one says itself what it wants.
struct TallyGuest: Guest {
    let image = tallyProgram
    let start = GuestPhysicalAddress(0x7c00)

    var code: GuestCode { .image(image, loadedAt: start.rawValue) }
    var wantsInterruptControllers: Bool { true }
    var wantsACPI: Bool { true }

    func makeMemory() throws -> GuestMemory {
        try GuestMemory(layout: [
            (start: GuestPhysicalAddress(0), size: BootLayout.baseMemoryEnd.rawValue),
            (start: BootLayout.acpiTables, size: BootLayout.acpiTablesSize),
        ])
    }

    func load(into memory: GuestMemory, on platform: GuestPlatform) throws -> LoadedGuest {
        try memory.write(image, at: start)
        let entry = SegmentedAddress(segment: 0, offset: UInt16(start.rawValue))
        return LoadedGuest(
            entry: .real(at: entry, stackPointer: start.rawValue),
            image: start..<GuestPhysicalAddress(start.rawValue + UInt64(image.count)))
    }
}

/// The guest's instructions, for address 0x7C00.
private let tallyProgram: [UInt8] = [
    0xfa,  // cli
    // The interrupt controller (8259A): edge-triggered, vectors from 0x20, line 5 alone unmasked.
    0xb0, 0x11,  // mov al, 0x11
    0xe6, 0x20,  // out 0x20, al
    0xb0, 0x20,  // mov al, 0x20
    0xe6, 0x21,  // out 0x21, al
    0xb0, 0x04,  // mov al, 0x4
    0xe6, 0x21,  // out 0x21, al
    0xb0, 0x01,  // mov al, 0x1
    0xe6, 0x21,  // out 0x21, al
    0xb0, 0xdf,  // mov al, 0xdf
    0xe6, 0x21,  // out 0x21, al
    // Vector 0x25, line 5's, leads to the handler below.
    0xc7, 0x06, 0x94, 0x00, 0x72, 0x7c,  // mov word [0x94], 0x7c72
    0xc7, 0x06, 0x96, 0x00, 0x00, 0x00,  // mov word [0x96], 0
    // Three numbers for the tally. The third raises the interrupt, which waits for STI.
    0xba, 0x00, 0x03,  // mov dx, 0x300
    0x66, 0xb8, 0x01, 0x00, 0x00, 0x00,  // mov eax, 0x1
    0x66, 0xef,  // out dx, eax
    0x66, 0xb8, 0x02, 0x00, 0x00, 0x00,  // mov eax, 0x2
    0x66, 0xef,  // out dx, eax
    0x66, 0xb8, 0x03, 0x00, 0x00, 0x00,  // mov eax, 0x3
    0x66, 0xef,  // out dx, eax
    // HLT ends no run here: it waits for the interrupt.
    0xfb,  // sti
    0xf4,  // hlt
    // The sum, as a digit.
    0xb8, 0x00, 0xd0,  // mov ax, 0xd000
    0x8e, 0xe0,  // mov fs, ax
    0x64, 0x66, 0xa1, 0x00, 0x00,  // mov eax, fs:[0]
    0x04, 0x30,  // add al, 0x30
    0xba, 0xf8, 0x03,  // mov dx, 0x3f8
    0xee,  // out dx, al
    // Looks for the name TALY in the ACPI tables.
    0xb8, 0x00, 0xe0,  // mov ax, 0xe000
    0x8e, 0xc0,  // mov es, ax
    0x31, 0xff,  // xor di, di
    // scan:
    0x26, 0x66, 0x81, 0x3d, 0x54, 0x41, 0x4c, 0x59,  // cmp dword es:[di], 0x594c4154
    0x74, 0x08,  // je found
    0x47,  // inc di
    0x83, 0xff, 0xf0,  // cmp di, 0xfff0
    0x72, 0xf0,  // jb scan
    0xeb, 0x03,  // jmp end
    // found:
    0xb0, 0x41,  // mov al, 0x41
    0xee,  // out dx, al
    // end:
    0xb0, 0x0a,  // mov al, 0xa
    0xee,  // out dx, al
    0x30, 0xc0,  // xor al, al
    0xe6, 0xf4,  // out 0xf4, al
    0xf4,  // hlt
    // handler:
    0x50,  // push ax
    0x52,  // push dx
    0xb0, 0x49,  // mov al, 0x49
    0xba, 0xf8, 0x03,  // mov dx, 0x3f8
    0xee,  // out dx, al
    0xb0, 0x20,  // mov al, 0x20
    0xe6, 0x20,  // out 0x20, al
    0x5a,  // pop dx
    0x58,  // pop ax
    0xcf,  // iret
]
