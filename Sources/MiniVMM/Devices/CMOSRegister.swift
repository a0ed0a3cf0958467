/// The bytes of a PC's CMOS memory that mean something.
///
/// Sources: Motorola MC146818A data sheet, "Address map" and "Registers"; for the century ACPI 6.4, section 5.2.9
/// (FADT, CENTURY); for the sizes of memory the list of CMOS bytes of Bochs's and QEMU's BIOS, which guests know.
enum CMOSRegister {
    static let seconds: UInt8 = 0x00
    static let minutes: UInt8 = 0x02
    static let hours: UInt8 = 0x04
    static let weekday: UInt8 = 0x06
    static let day: UInt8 = 0x07
    static let month: UInt8 = 0x08
    static let year: UInt8 = 0x09
    static let a: UInt8 = 0x0A
    static let b: UInt8 = 0x0B
    static let c: UInt8 = 0x0C
    static let d: UInt8 = 0x0D
    /// The two leading digits of the year. The FADT says that it is here.
    static let century: UInt8 = 0x32

    /// KiB below 1 MiB, two bytes.
    static let baseMemory: UInt8 = 0x15
    /// KiB from 1 MiB on, two bytes, at most 65,535.
    static let extendedMemory: UInt8 = 0x17
    /// The same as the power-on self-test found it.
    static let extendedMemoryFound: UInt8 = 0x30
    /// Units of 64 KiB from 16 MiB to 4 GiB, two bytes.
    static let memoryAbove16MiB: UInt8 = 0x34
    /// Units of 64 KiB from 4 GiB on, three bytes.
    static let memoryAbove4GiB: UInt8 = 0x5B

    /// Register A: an update of the time is about to happen.
    static let updateInProgress: UInt8 = 0x80
    /// Register A: the divider, and what it says when the clock runs.
    static let dividerMask: UInt8 = 0x70
    static let dividerRuns: UInt8 = 0x20
    /// Register A after power-on: the divider for 32,768 Hz, and the periodic interrupt's rate of 1,024 Hz.
    static let initialA: UInt8 = 0x26

    /// Register B: the time stands still and may be set.
    static let set: UInt8 = 0x80
    /// Register B: an interrupt when an update of the time has ended.
    static let updateEndedInterrupt: UInt8 = 0x10
    /// Register B: the time is binary, not BCD.
    static let binary: UInt8 = 0x04
    /// Register B: hours go from 0 to 23, not twice from 1 to 12.
    static let hours24: UInt8 = 0x02

    /// Register C: an interrupt is pending.
    static let interruptPending: UInt8 = 0x80
    /// Register C: an update of the time has ended since the last read.
    static let updateEnded: UInt8 = 0x10

    /// Register D: the battery was never empty.
    static let validTime: UInt8 = 0x80

    /// In 12-hour mode, with the hours: after noon.
    static let afterNoon: UInt8 = 0x80
}
