/// The ports of a machine's devices, all in one place.
///
/// The numbers are those of the PC/AT, unless a comment names another source. What is missing on purpose is what KVM
/// answers itself: the interrupt controllers (0x20, 0xA0, 0x4D0), the timer (0x40 to 0x43) and port 0x61.
public enum PortMap {
    /// ``KeyboardController``: data.
    public static let keyboardData: UInt16 = 0x60
    /// ``KeyboardController``: status and commands.
    public static let keyboardCommand: UInt16 = 0x64
    /// ``CMOSClock``: index and data.
    public static let cmos: ClosedRange<UInt16> = 0x70...0x71
    /// ``PostCodePort``: the progress codes of a power-on self-test.
    public static let postCode: UInt16 = 0x80
    /// ``DebugConsole``: the port that Bochs introduced and other machines took over.
    public static let debugConsole: UInt16 = 0xE9
    /// ``ExitPort``: the port where other machines put the device that ends a run.
    public static let exit: UInt16 = 0xF4
    /// ``Serial16550``: COM1.
    public static let serial: ClosedRange<UInt16> = 0x3F8...0x3FF
    /// ``ACPIPowerManagement``: where the PC chipsets that guests know from other virtual machines have it.
    public static let powerManagement: ClosedRange<UInt16> = 0x600...0x60B
    /// ``ResetControlRegister``. Source: Intel 82371 (PIIX3) data sheet, "RC - Reset Control Register".
    public static let resetControl: UInt16 = 0xCF9
}
