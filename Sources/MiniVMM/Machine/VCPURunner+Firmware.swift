import CKVM

/// The interrupt stubs of a flat guest: what stands behind every vector until the guest installs its own handlers.
extension VCPURunner {
    /// The vector of the video services. Source: the IBM PC's BIOS.
    private static let videoServices: UInt8 = 0x10
    /// INT 10h, AH: write a character and move the cursor on.
    private static let teletypeOutput: UInt8 = 0x0e

    /// Services an OUT to the firmware's port, if a stub executed it.
    ///
    /// - Returns: nil when the OUT is the guest's own.
    func serviceFirmwareCall() throws(KVMError) -> Service? {
        let registers = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        guard special.cr0 & ControlRegister.cr0ProtectionEnable == 0,
            let vector = FirmwareStubs.vector(
                codeSegment: special.cs.selector, instructionPointer: registers.rip)
        else { return nil }
        counters.begin(.portOut)
        guard vector == Self.videoServices else {
            return .died(.portOut, .unhandledVector(vector, at: returnAddress(registers, special)))
        }
        // Other functions (modes, cursors, scrolling) have no screen to act on, and are done with nothing done.
        if UInt8(truncatingIfNeeded: registers.rax >> 8) == Self.teletypeOutput {
            machine.console.write(UInt8(truncatingIfNeeded: registers.rax))
        }
        return .booked(.portOut)
    }

    /// The CS:IP that the interrupt pushed: IP at SS:SP, CS after it. FFFF:FFFF where the stack lies outside memory.
    private func returnAddress(_ registers: kvm_regs, _ special: kvm_sregs) -> SegmentedAddress {
        func word(_ offset: UInt16) -> UInt16 {
            let pointer = UInt16(truncatingIfNeeded: registers.rsp) &+ offset
            let address = GuestPhysicalAddress(special.ss.base &+ UInt64(pointer))
            return (try? machine.memory.load(UInt16.self, at: address)) ?? .max
        }
        return SegmentedAddress(segment: word(2), offset: word(0))
    }
}
