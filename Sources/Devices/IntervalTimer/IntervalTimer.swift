import Host
package import Memory

/// A PC's interval timer, an 8254 with its three counters, and system control port B, which has the gate and the output of
/// the third: as a BIOS leaves them, for guests that wait by looking at a counter.
///
/// Ports: 0x40 to 0x43 are ``counters``, 0x61 is ``control``. Where KVM has interrupt controllers it has a timer as well, and
/// these see no access.
///
/// Source: Intel 8254 data sheet; IBM PS/2 Hardware Interface Technical Reference, "System Control Port B (Hex 0061)".
///
/// Not emulated: the speaker, counting in BCD, and the memory's parity checks.
///
/// State is kept in order by a lock; the clock is read with it held.
package final class IntervalTimer: Sendable {
    private struct State {
        /// None before the first access: most guests make none.
        var counters: [IntervalCounter] = []
        /// Bits 0 to 3 of port B: the gate of counter 2, the speaker, and two checks.
        var control: UInt8 = 0
    }

    private let state = Locked(State())
    private let start: UInt64
    private let now: @Sendable () -> UInt64
    private let onUse: @Sendable () -> Void

    /// Makes a timer whose counter 0 runs at 18.2 Hz.
    ///
    /// - Parameters:
    ///   - now: Nanoseconds that never go back.
    ///   - onUse: Called when a guest sets counter 0.
    package init(
        now: @escaping @Sendable () -> UInt64 = HostClock.monotonicNanoseconds,
        onUse: @escaping @Sendable () -> Void = {}
    ) {
        self.now = now
        self.onUse = onUse
        start = now()
    }

    private func withState<Result>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            if state.counters.isEmpty {
                state.counters = [
                    IntervalCounter(mode: .squareWave, reload: 0, at: start),
                    // It used to refresh the memory, every 15 us.
                    IntervalCounter(mode: .rate, reload: 18, at: start),
                    IntervalCounter(mode: .squareWave, reload: 0, at: start, isGateOpen: false),
                ]
            }
            return body(&state)
        }
    }

    /// Ports 0x40 to 0x43.
    package var counters: CounterPorts { CounterPorts(self) }

    /// Port 0x61.
    package var control: ControlPort { ControlPort(self) }

    /// The present time, in nanoseconds.
    package var time: UInt64 { now() }

    /// When the output of counter 0 rises next, which is its interrupt.
    ///
    /// - Parameter time: Nanoseconds; what rises then has risen.
    /// - Returns: Nil when it does not before it is set anew.
    package func nextInterrupt(after time: UInt64) -> UInt64? {
        withState { $0.counters[0].nextRise(after: time) }
    }

    private func readCounter(_ number: Int) -> UInt8 {
        withState { $0.counters[number].read(at: now()) }
    }

    private func writeCounter(_ number: Int, _ value: UInt8) {
        withState { $0.counters[number].write(value, at: now()) }
        if number == 0 { onUse() }
    }

    /// The control word: bits 7:6 the counter, 5:4 how it is accessed, 3:1 the mode. Counter 3 is the read-back command,
    /// whose bits 3:1 choose counters.
    private func command(_ word: UInt8) {
        withState { state in
            let time = now()
            let number = Int(word >> 6)
            guard number == state.counters.count else {
                state.counters[number].command(word, at: time)
                return
            }
            for index in state.counters.indices where word >> UInt8(1 + index) & 1 == 1 {
                if word & 0x10 == 0 { state.counters[index].latchStatus(at: time) }
                if word & 0x20 == 0 { state.counters[index].latchCount(at: time) }
            }
        }
    }

    private static let outputOfCounter2: UInt8 = 1 << 5
    private static let refresh: UInt8 = 1 << 4
    private static let writable: UInt8 = 0x0f
    private static let gate: UInt8 = 1 << 0
    /// Between two changes of the refresh bit, in nanoseconds.
    private static let refreshPeriod: UInt64 = 15_085

    private func readControl() -> UInt8 {
        withState { state in
            let time = now()
            var value = state.control
            if state.counters[2].isOutputHigh(at: time) { value |= Self.outputOfCounter2 }
            if time / Self.refreshPeriod & 1 == 1 { value |= Self.refresh }
            return value
        }
    }

    private func writeControl(_ value: UInt8) {
        withState { state in
            state.control = value & Self.writable
            state.counters[2].setGate(isOpen: value & Self.gate != 0, at: now())
        }
    }

    /// Ports 0x40 to 0x43: three counters, and their control word.
    package final class CounterPorts: PortIODevice {
        private let timer: IntervalTimer

        fileprivate init(_ timer: IntervalTimer) {
            self.timer = timer
        }

        /// Reads a counter; the control word cannot be read.
        package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
            offset < 3 ? UInt32(timer.readCounter(Int(offset))) : UInt32(UInt8.max)
        }

        /// Writes a counter, or the control word.
        package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
            let value = UInt8(truncatingIfNeeded: value)
            if offset < 3 { timer.writeCounter(Int(offset), value) } else { timer.command(value) }
        }
    }

    /// Port 0x61.
    package final class ControlPort: PortIODevice {
        private let timer: IntervalTimer

        fileprivate init(_ timer: IntervalTimer) {
            self.timer = timer
        }

        /// Reads what was written, and what the hardware says.
        package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
            UInt32(timer.readControl())
        }

        /// Opens or shuts the gate of counter 2.
        package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
            timer.writeControl(UInt8(truncatingIfNeeded: value))
        }
    }
}

/// One counter of an 8254.
struct IntervalCounter {
    /// The counter's frequency in hertz: a twelfth of 14.31818 MHz. Source: IBM PC Technical Reference.
    static let frequency: UInt64 = 1_193_182

    /// How it counts. Source: Intel 8254 data sheet, "Mode definitions".
    enum Mode: UInt8 {
        case terminalCount = 0
        case oneShot = 1
        case rate = 2
        case squareWave = 3
        case softwareStrobe = 4
        case hardwareStrobe = 5

        /// Whether it starts over by itself.
        var isPeriodic: Bool { self == .rate || self == .squareWave }
    }

    /// Bits 5:4 of the control word.
    private enum Access {
        static let low: UInt8 = 1
        static let high: UInt8 = 2
        static let both: UInt8 = 3
    }

    private var mode: Mode
    /// What it counts down from, 1 to 65536.
    private var reload: UInt64
    private var access = Access.both
    /// When it began to count, in nanoseconds.
    private var start: UInt64
    private var isGateOpen: Bool
    /// The ticks so far, where the gate holds it.
    private var heldTicks: UInt64 = 0
    /// Whether a mode was set, and no count since.
    private var waitsForCount = false
    /// The low byte of a count whose high byte is to come.
    private var lowByte: UInt8?
    private var latchedCount: UInt16?
    private var latchedStatus: UInt8?
    /// Whether the next byte that is read is the high one.
    private var readsHigh = false

    init(mode: Mode, reload: UInt16, at time: UInt64, isGateOpen: Bool = true) {
        self.mode = mode
        self.reload = Self.count(reload)
        start = time
        self.isGateOpen = isGateOpen
    }

    /// 0 stands for 65536.
    private static func count(_ value: UInt16) -> UInt64 { value == 0 ? 0x1_0000 : UInt64(value) }

    private func ticks(at time: UInt64) -> UInt64 {
        guard isGateOpen else { return heldTicks }
        let product = (time &- start).multipliedFullWidth(by: Self.frequency)
        // The quotient is less than the nanoseconds.
        return UInt64(HostClock.nanosecondsPerSecond).dividingFullWidth(product).quotient
    }

    private func value(at time: UInt64) -> UInt16 {
        let ticks = ticks(at: time)
        let value: UInt64 =
            switch mode {
            case .rate: reload - ticks % reload
            // It counts by two, and twice for each period.
            case .squareWave: reload - (2 &* ticks) % reload
            default: reload &- ticks
            }
        return UInt16(truncatingIfNeeded: value)
    }

    func isOutputHigh(at time: UInt64) -> Bool {
        let ticks = ticks(at: time)
        switch mode {
        case .terminalCount, .oneShot: return !waitsForCount && ticks >= reload
        case .rate: return !isGateOpen || ticks % reload != reload - 1
        case .squareWave: return !isGateOpen || ticks % reload < (reload + 1) / 2
        case .softwareStrobe, .hardwareStrobe: return ticks != reload
        }
    }

    mutating func setGate(isOpen: Bool, at time: UInt64) {
        guard isOpen != isGateOpen else { return }
        if isOpen {
            // A gate that opens starts most modes over; the others go on.
            let goesOn = mode == .terminalCount || mode == .softwareStrobe
            let (nanoseconds, _) = Self.nanoseconds(of: goesOn ? heldTicks : 0)
            start = time &- nanoseconds
        } else {
            heldTicks = ticks(at: time)
        }
        isGateOpen = isOpen
    }

    /// When the output rises next after a time: at the end of every period, or once when the count is over.
    func nextRise(after time: UInt64) -> UInt64? {
        guard !waitsForCount, isGateOpen else { return nil }
        // It may have been set since.
        let ticks = ticks(at: max(time, start))
        let due: UInt64
        if mode.isPeriodic {
            due = (ticks / reload &+ 1) &* reload
        } else {
            guard mode == .terminalCount || mode == .softwareStrobe, ticks < reload else { return nil }
            due = reload
        }
        // One more, so that the tick has come then.
        return start &+ Self.nanoseconds(of: due).0 &+ 1
    }

    private static func nanoseconds(of ticks: UInt64) -> (UInt64, remainder: UInt64) {
        let product = min(ticks, 1 << 40).multipliedFullWidth(by: UInt64(HostClock.nanosecondsPerSecond))
        let (quotient, remainder) = frequency.dividingFullWidth(product)
        return (quotient, remainder)
    }

    mutating func command(_ word: UInt8, at time: UInt64) {
        let access = word >> 4 & 3
        guard access != 0 else { return latchCount(at: time) }
        let number = word >> 1 & 7
        // Modes 6 and 7 are 2 and 3.
        mode = Mode(rawValue: number) ?? Mode(rawValue: number & 3) ?? .rate
        self.access = access
        (lowByte, latchedCount, latchedStatus) = (nil, nil, nil)
        readsHigh = false
        waitsForCount = true
        restart(at: time)
    }

    private mutating func restart(at time: UInt64) {
        start = time
        heldTicks = 0
    }

    mutating func latchCount(at time: UInt64) {
        if latchedCount == nil { latchedCount = value(at: time) }
    }

    /// Bit 7 the output, bit 6 no count yet, and the control word.
    mutating func latchStatus(at time: UInt64) {
        guard latchedStatus == nil else { return }
        latchedStatus =
            (isOutputHigh(at: time) ? 0x80 : 0) | (waitsForCount ? 0x40 : 0) | access << 4 | mode.rawValue << 1
    }

    mutating func read(at time: UInt64) -> UInt8 {
        if let latchedStatus {
            self.latchedStatus = nil
            return latchedStatus
        }
        let value = latchedCount ?? value(at: time)
        let isHigh = access == Access.high || (access == Access.both && readsHigh)
        if access == Access.both { readsHigh.toggle() }
        if access != Access.both || !readsHigh { latchedCount = nil }
        return UInt8(truncatingIfNeeded: isHigh ? value >> 8 : value)
    }

    mutating func write(_ byte: UInt8, at time: UInt64) {
        switch access {
        case Access.low: load(UInt16(byte), at: time)
        case Access.high: load(UInt16(byte) << 8, at: time)
        default:
            if let low = lowByte {
                lowByte = nil
                load(UInt16(byte) << 8 | UInt16(low), at: time)
            } else {
                lowByte = byte
            }
        }
    }

    private mutating func load(_ value: UInt16, at time: UInt64) {
        reload = Self.count(value)
        waitsForCount = false
        restart(at: time)
    }
}

// MARK: The component

/// The interval timer.
public struct TimerCounters: Component {
    /// Where a PC has the counters.
    package static let counterPorts: ClosedRange<UInt16> = 0x40...0x43
    /// Where a PC has system control port B.
    package static let controlPort: UInt16 = 0x61

    /// The timer.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let timer = IntervalTimer(onUse: attachments.machine.ticks.change)
        attachments.timer = timer
        attachments.ports(timer.counters, named: "interval timer", at: Self.counterPorts)
        attachments.ports(timer.control, named: "system control B", at: Self.controlPort...Self.controlPort)
    }
}
