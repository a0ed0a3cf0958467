/// The names of a PC's ports, and of pages where its interrupt controllers have their registers: what a place is called
/// that no device of the machine claims.
///
/// Source: the PC/AT's port assignments, as Linux has them in arch/x86/kernel/setup.c (standard_io_resources) and
/// drivers/tty/serial/8250; Intel SDM, volume 3, "APIC".
package enum AddressNames {
    /// The name of what a PC has at a port, or nil.
    package static func port(_ number: UInt16) -> String? {
        ports.first { $0.0.contains(number) }?.1
    }

    /// The name of what a PC has at a guest-physical address, or nil.
    package static func page(_ address: UInt64) -> String? {
        pages.first { $0.0.contains(address) }?.1
    }

    private static let ports: [(ClosedRange<UInt16>, String)] = [
        (0x00...0x0f, "DMA controller"), (0x20...0x21, "PIC"), (0x40...0x43, "PIT"), (0x60...0x60, "keyboard"),
        (0x61...0x61, "PIT, speaker"), (0x64...0x64, "keyboard"), (0x70...0x71, "CMOS clock"),
        (0x80...0x80, "POST code"), (0x81...0x8f, "DMA pages"), (0x92...0x92, "system control port A"),
        (0xa0...0xa1, "PIC"), (0xb2...0xb3, "APM control"), (0xc0...0xdf, "DMA controller"),
        (0xe9...0xe9, "debug console"), (0xf0...0xff, "coprocessor"), (0x170...0x177, "IDE, secondary"),
        (0x1f0...0x1f7, "IDE, primary"), (0x200...0x207, "game port"), (0x278...0x27f, "lpt2"),
        (0x2e8...0x2ef, "ttyS3"), (0x2f8...0x2ff, "ttyS1"), (0x378...0x37f, "lpt1"), (0x3b0...0x3bb, "MDA"),
        (0x3c0...0x3df, "VGA"), (0x3e8...0x3ef, "ttyS2"), (0x3f0...0x3f7, "floppy"), (0x3f8...0x3ff, "ttyS0"),
        (0x4d0...0x4d1, "ELCR"), (0x510...0x51b, "fw_cfg"), (0xcf8...0xcf8, "PCI configuration address"),
        (0xcf9...0xcf9, "reset control"), (0xcfc...0xcff, "PCI configuration data"),
    ]

    private static let pages: [(ClosedRange<UInt64>, String)] = [
        (0xa_0000...0xb_ffff, "VGA memory"), (0xc_0000...0xf_ffff, "option ROMs, BIOS"),
        (0xfec0_0000...0xfec0_0fff, "IOAPIC"), (0xfed0_0000...0xfed0_03ff, "HPET"),
        (0xfed4_0000...0xfed4_4fff, "TPM"), (0xfee0_0000...0xfee0_0fff, "local APIC"),
    ]
}
