import Host
package import Memory

/// The fixed hardware of ACPI: power-off, a power button, and a timer.
///
/// Register map, by offset, little-endian; every width and alignment of access works:
///
///     0  PM1a status, 16 bits: writing a 1 clears it
///     2  PM1a enable, 16 bits
///     4  PM1a control, 16 bits: SCI_EN is always 1, for the machine has no other mode to leave
///     6  nothing, reads as zeros
///     8  PM timer, 32 bits, 3.579545 MHz
///
/// Source: ACPI 6.4, sections 4.8.3.1 "PM1 event grouping", 4.8.3.2 "PM1 control grouping" and 4.8.3.3 "PM timer".
///
/// Not emulated: the timer's carry event (TMR_STS stays 0), sleep states other than S5, and everything that is
/// optional.
///
/// State is kept in order by a lock, which is held while the interrupt line's closure is called, and not for the others.
package final class ACPIPowerManagement: PortIODevice {
    /// The sleep type that the DSDT's \_S5 names; power is switched off for no other.
    package static let softOffSleepType: UInt8 = 5
    /// The timer's frequency in hertz. Source: ACPI 6.4, section 4.8.3.3.
    package static let timerFrequency: UInt64 = 3_579_545

    /// Where the registers stand in the port range, and their lengths in bytes.
    static let eventBlock: (offset: UInt16, length: UInt8) = (0, 4)
    static let controlBlock: (offset: UInt16, length: UInt8) = (4, 2)
    static let timerBlock: (offset: UInt16, length: UInt8) = (8, 4)

    /// The wide registers are read in one piece.
    package static var widestPortAccess: AccessWidth { .long }

    /// Bits 5 (global lock), 8 (power button), 9 (sleep button) and 10 (clock) of the enable register.
    private static let enableBits: UInt16 = 0x0720
    private static let powerButton: UInt16 = 0x0100
    /// SCI_EN of the control register.
    private static let acpiMode: UInt16 = 0x0001
    /// The bits of the control register that keep what is written: BM_RLD and SLP_TYP.
    private static let controlBits: UInt16 = 0x1C02
    private static let sleepTypeShift: UInt16 = 10
    private static let sleepTypeMask: UInt16 = 0x07
    private static let sleepEnable: UInt16 = 0x2000

    private struct State {
        var status: UInt16 = 0
        var enabled: UInt16 = 0
        var control: UInt16 = 0
        var line: LevelLatch

        mutating func updateLine() {
            line.set(status & enabled != 0)
        }
    }

    private let state: Locked<State>
    private let powerOff: @Sendable () -> Void
    private let now: @Sendable () -> UInt64

    /// Makes the registers.
    ///
    /// - Parameters:
    ///   - interrupt: Raises or lowers the line of the system control interrupt (SCI); called on changes only, with the
    ///     lock held. It must not call the device.
    ///   - powerOff: Called when the guest enters the soft-off state.
    ///   - now: Nanoseconds that never go back, for the timer.
    package init(
        interrupt: @escaping @Sendable (Bool) -> Void,
        powerOff: @escaping @Sendable () -> Void,
        now: @escaping @Sendable () -> UInt64 = HostClock.monotonicNanoseconds
    ) {
        state = Locked(State(line: LevelLatch(interrupt)))
        self.powerOff = powerOff
        self.now = now
    }

    /// Presses the power button, by which a guest that handles it shuts down.
    ///
    /// - Returns: Whether the guest takes an interrupt for it.
    @discardableResult
    package func pressPowerButton() -> Bool {
        state.withLock { state in
            state.status |= Self.powerButton
            state.updateLine()
            return state.enabled & Self.powerButton != 0
        }
    }

    /// The timer's value at a moment. The quotient is less than the nanoseconds, and so fits.
    private static func timer(at nanoseconds: UInt64) -> UInt32 {
        let product = nanoseconds.multipliedFullWidth(by: timerFrequency)
        return UInt32(truncatingIfNeeded: UInt64(HostClock.nanosecondsPerSecond).dividingFullWidth(product).quotient)
    }

    /// Reads any part of the registers.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        let (status, enabled, control) = state.withLock { ($0.status, $0.enabled, $0.control) }
        let registers: UInt128 =
            UInt128(status) | UInt128(enabled) << 16 | UInt128(control | Self.acpiMode) << 32
            | UInt128(Self.timer(at: now())) << 64
        // Smart shifts: past the last bit they give zeros.
        return UInt32(truncatingIfNeeded: registers >> UInt128(8 * UInt32(offset))) & mask(of: width)
    }

    /// Writes any part of the registers, one byte after the other.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        var isOff = false
        state.withLock { state in
            for step in 0..<width.rawValue {
                let byte = UInt8(truncatingIfNeeded: value >> UInt32(8 * step))
                let place = offset &+ UInt16(step)
                if Self.write(byte, at: place, to: &state) { isOff = true }
            }
            state.updateLine()
        }
        if isOff { powerOff() }
    }

    /// Writes one byte.
    ///
    /// - Returns: Whether it switches the power off.
    private static func write(_ byte: UInt8, at place: UInt16, to state: inout State) -> Bool {
        let shift = 8 * (place & 1)
        let bits = UInt16(byte) << shift
        let others = ~(UInt16(UInt8.max) << shift)
        switch place & ~1 {
        case 0:
            state.status &= ~bits
        case 2:
            state.enabled = (state.enabled & others | bits) & enableBits
        case 4:
            state.control = (state.control & others | bits) & controlBits
            let type = state.control >> sleepTypeShift & sleepTypeMask
            return bits & sleepEnable != 0 && type == UInt16(softOffSleepType)
        default:
            break
        }
        return false
    }

    private func mask(of width: AccessWidth) -> UInt32 {
        UInt32(truncatingIfNeeded: width.allOnes)
    }
}

// MARK: The component

/// The fixed hardware of ACPI: power-off and a timer.
public struct PowerManagement: Component {
    /// Where the PC chipsets that guests know from other virtual machines have it.
    package static let ports: ClosedRange<UInt16> = 0x600...0x60B
    /// The system control interrupt of a PC.
    package static let interrupt: UInt8 = 9

    /// The fixed hardware.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let end = attachments.machine.end
        let line = try attachments.interruptLine(UInt32(Self.interrupt), for: "ACPI power management")
        let registers = ACPIPowerManagement(
            interrupt: { line.setLevel(isHigh: $0) }, powerOff: { end(.powerOff) })
        attachments.ports(registers, named: "ACPI power management", at: Self.ports)
        func block(_ block: (offset: UInt16, length: UInt8)) -> ACPIDescription.FixedHardware.Block {
            .init(port: Self.ports.lowerBound + block.offset, length: block.length)
        }
        attachments.description.fixedHardware = .init(
            interrupt: Self.interrupt,
            eventBlock: block(ACPIPowerManagement.eventBlock),
            controlBlock: block(ACPIPowerManagement.controlBlock),
            timerBlock: block(ACPIPowerManagement.timerBlock),
            softOffSleepType: ACPIPowerManagement.softOffSleepType)
    }
}
