import CKVM

extension VirtualMachine {
    /// Gives the machine the interrupt controllers and the timer that KVM itself has: two 8259 PICs, an IOAPIC, a local
    /// APIC for each vCPU, and an 8254 PIT with port 0x61. To be done before the first vCPU is made.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    public func createInterruptControllers() throws(KVMError) {
        try check("KVM_CREATE_IRQCHIP", ckvm_create_irqchip(descriptor.number))
        var configuration = kvm_pit_config()
        // Without it KVM leaves port 0x61 to this process, and Linux waits there for the timer's second channel.
        configuration.flags = UInt32(KVM_PIT_SPEAKER_DUMMY)
        try check("KVM_CREATE_PIT2", ckvm_create_pit2(descriptor.number, &configuration))
    }

    /// Sets the level of an interrupt line of the controllers inside KVM. From any thread.
    ///
    /// - Parameter line: The global system interrupt: 0 to 23, of which the first 16 are the PICs' too.
    public func setInterruptLine(_ line: UInt32, _ level: Bool) {
        var argument = kvm_irq_level()
        argument.irq = line
        argument.level = level ? 1 : 0
        // It fails only for lines that do not exist or machines without controllers, and devices are given lines that
        // do, of machines that have them.
        let result = ckvm_irq_line(descriptor.number, &argument)
        assert(result >= 0, "KVM_IRQ_LINE failed: \(result)")
    }
}

extension VCPU {
    /// Sets the local APIC's inputs up as a PC's firmware does: LINT0 takes the PICs' interrupts, LINT1 NMIs.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    func connectLocalInterrupts() throws(KVMError) {
        var state = kvm_lapic_state()
        let result = ckvm_get_lapic(descriptor.number, &state)
        guard result >= 0 else { throw .failed("KVM_GET_LAPIC", result) }
        withUnsafeMutableBytes(of: &state) { page in
            // Sound: both offsets are inside the 1024 bytes of the APIC's registers, and aligned.
            page.storeBytes(of: LocalAPIC.deliverExternal, toByteOffset: LocalAPIC.lint0, as: UInt32.self)
            page.storeBytes(of: LocalAPIC.deliverNMI, toByteOffset: LocalAPIC.lint1, as: UInt32.self)
        }
        let set = ckvm_set_lapic(descriptor.number, &state)
        guard set >= 0 else { throw .failed("KVM_SET_LAPIC", set) }
    }

    /// Registers of the local APIC, and delivery modes (bits 10:8) of its local vector table. Source: Intel SDM,
    /// volume 3, "Advanced programmable interrupt controller".
    private enum LocalAPIC {
        static let lint0 = 0x350
        static let lint1 = 0x360
        static let deliverExternal: UInt32 = 0b111 << 8
        static let deliverNMI: UInt32 = 0b100 << 8
    }
}
