/// The Multiple APIC Description Table: the vCPUs' local APICs and the I/O APIC.
///
/// It describes what KVM_CREATE_IRQCHIP makes. Interrupt lines are identity-mapped to the inputs of the I/O APIC, the
/// system control interrupt excepted, which is level-triggered.
///
/// Source: ACPI 6.4, section 5.2.12 "Multiple APIC Description Table (MADT)".
enum MADT {
    /// Where KVM puts the local APICs and the I/O APIC (APIC_DEFAULT_PHYS_BASE and IOAPIC_DEFAULT_BASE_ADDRESS in Linux,
    /// arch/x86/include/asm/apicdef.h and arch/x86/kvm/ioapic.h).
    static let localAPICAddress: UInt32 = 0xFEE0_0000
    static let ioAPICAddress: UInt32 = 0xFEC0_0000

    private static let revision: UInt8 = 5
    /// The machine also has two 8259s.
    private static let hasLegacyControllers: UInt32 = 1

    /// The first byte of each entry; the second is its length.
    private enum Entry {
        static let localAPIC: (type: UInt8, length: UInt8) = (0, 8)
        static let ioAPIC: (type: UInt8, length: UInt8) = (1, 12)
        static let interruptOverride: (type: UInt8, length: UInt8) = (2, 10)
        static let localAPICNMI: (type: UInt8, length: UInt8) = (4, 6)
    }

    private static let processorEnabled: UInt32 = 1
    private static let allProcessors: UInt8 = 0xFF
    /// The identity that KVM's I/O APIC has after power-on.
    private static let ioAPICID: UInt8 = 0
    private static let isaBus: UInt8 = 0
    /// Flags of an interrupt: as its bus has it; active high and level-triggered.
    private static let asTheBus: UInt16 = 0x0000
    private static let activeHighLevel: UInt16 = 0x000D
    private static let timerInterrupt: UInt8 = 0
    /// The pin of a local APIC that PCs wire the NMI to.
    private static let nmiPin: UInt8 = 1

    /// The table. A vCPU's APIC identity is its number, as KVM has it.
    ///
    /// - Parameters:
    ///   - vcpuCount: 1 to 255; identities begin at 0, and 255 is every vCPU's.
    ///   - timerInput: The I/O APIC's input that the timer's interrupt 0 arrives at.
    ///   - systemControlInterrupt: The interrupt of the fixed hardware, if there is any.
    package static func bytes(vcpuCount: UInt8, timerInput: UInt32, systemControlInterrupt: UInt8?) -> [UInt8] {
        var body = ByteBuilder()
        body.add(localAPICAddress)
        body.add(hasLegacyControllers)
        for number in 0..<vcpuCount {
            start(Entry.localAPIC, &body)
            // The processor's identity in the DSDT, if it were there, and its APIC's.
            body.add(number)
            body.add(number)
            body.add(processorEnabled)
        }
        start(Entry.ioAPIC, &body)
        body.add(ioAPICID)
        body.add(UInt8(0))
        body.add(ioAPICAddress)
        // Its inputs are the system's interrupts from this number on.
        body.add(UInt32(0))
        if timerInput != UInt32(timerInterrupt) {
            addOverride(of: timerInterrupt, input: timerInput, flags: asTheBus, to: &body)
        }
        if let sci = systemControlInterrupt {
            addOverride(of: sci, input: UInt32(sci), flags: activeHighLevel, to: &body)
        }
        start(Entry.localAPICNMI, &body)
        body.add(allProcessors)
        body.add(asTheBus)
        body.add(nmiPin)
        return ACPITable.bytes(signature: "APIC", revision: revision, body: body.bytes)
    }

    private static func addOverride(of interrupt: UInt8, input: UInt32, flags: UInt16, to body: inout ByteBuilder) {
        start(Entry.interruptOverride, &body)
        body.add(isaBus)
        body.add(interrupt)
        body.add(input)
        body.add(flags)
    }

    private static func start(_ entry: (type: UInt8, length: UInt8), _ body: inout ByteBuilder) {
        body.add(entry.type)
        body.add(entry.length)
    }
}
