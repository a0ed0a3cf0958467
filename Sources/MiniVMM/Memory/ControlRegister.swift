/// The bits of control registers, EFER and RFLAGS that MiniVMM looks at or sets.
///
/// Source: Intel SDM, volume 3, "Control registers" and "IA32_EFER"; volume 1, "EFLAGS register".
enum ControlRegister {
    /// CR0.PE: protected mode.
    static let cr0ProtectionEnable: UInt64 = 1 << 0
    /// CR0.PG: paging.
    static let cr0Paging: UInt64 = 1 << 31
    /// CR4.PSE: 4 MiB pages in 32-bit paging.
    static let cr4PageSizeExtensions: UInt64 = 1 << 4
    /// CR4.PAE.
    static let cr4PhysicalAddressExtension: UInt64 = 1 << 5
    /// CR4.LA57: 5-level paging.
    static let cr4LinearAddress57: UInt64 = 1 << 12
    /// IA32_EFER.LME: long mode enabled.
    static let eferLongModeEnable: UInt64 = 1 << 8
    /// IA32_EFER.LMA: long mode active.
    static let eferLongModeActive: UInt64 = 1 << 10
    /// RFLAGS bit 1, which is always one.
    static let rflagsReserved: UInt64 = 1 << 1
    /// RFLAGS.IF.
    static let rflagsInterruptEnable: UInt64 = 1 << 9
    /// RFLAGS.RF: no breakpoint on the next instruction.
    static let rflagsResume: UInt64 = 1 << 16
    /// RFLAGS.VM: virtual-8086 mode.
    static let rflagsVirtual8086: UInt64 = 1 << 17
}
