import CKVM

/// Linear addresses, made of segments and offsets as the processor makes them.
enum LinearAddress {
    /// The linear address of the instruction pointer.
    ///
    /// 64-bit code ignores CS's base; all other code adds it modulo 2^32. Source: Intel SDM, volume 3, "Segment
    /// registers in IA-32e mode"; arch/x86/kvm/x86.c, kvm_get_linear_rip().
    static func instructionPointer(_ registers: kvm_regs, _ special: kvm_sregs) -> UInt64 {
        isCode64Bit(special)
            ? registers.rip : UInt64(UInt32(truncatingIfNeeded: special.cs.base &+ registers.rip))
    }

    /// Whether the vCPU runs 64-bit code.
    static func isCode64Bit(_ special: kvm_sregs) -> Bool {
        special.efer & ControlRegister.eferLongModeActive != 0 && special.cs.l != 0
    }
}
