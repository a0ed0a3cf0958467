import Host
import Synchronization

/// The interrupts of the clock: periodic, alarm and update-ended. All come of the time when somebody looks, and none is
/// missed, however long nobody did; several of one kind are one.
///
/// Source: Motorola MC146818A data sheet, "Interrupts" and "Registers".
extension CMOSClock {
    /// Whether the guest has enabled an interrupt.
    package var isArmed: Bool { hasInterrupts.load(ordering: .relaxed) }

    /// Whether the line has risen since the last time somebody asked.
    package func takeInterrupt() -> Bool {
        state.withLock { state in
            state.advance(to: now())
            defer { state.hasRisen = false }
            return state.hasRisen
        }
    }

    /// In how many nanoseconds the line may rise next; nil for not before the guest does something.
    package var timeToInterrupt: UInt64? {
        state.withLock { state in
            let time = now()
            state.advance(to: time)
            if state.hasRisen { return 0 }
            return state.nextEvent(after: time).map { UInt64(max($0 &- time, 0)) }
        }
    }
}

extension CMOSClock.State {
    /// Register B's enabled interrupts, each at the bit of its flag in register C.
    var enabledInterrupts: UInt8 { self[CMOSRegister.b] & CMOSRegister.allFlags }

    private var isRunning: Bool { self[CMOSRegister.a] & CMOSRegister.dividerMask == CMOSRegister.dividerRuns }

    /// Whether the time goes on.
    var isUpdated: Bool { isRunning && !isSet }

    /// The period of the periodic interrupt, as a power of two of the crystal's periods; nil for none.
    private var periodShift: Int64? {
        let rate = self[CMOSRegister.a] & CMOSRegister.rateMask
        // The two fastest rates are those of 8 and 9.
        return rate == 0 ? nil : Int64(rate < 3 ? rate + 6 : rate - 1)
    }

    /// Notes what has happened up to a time, in nanoseconds of the host's.
    mutating func advance(to time: Int64) {
        let last = lastLook
        lastLook = time
        // The host's clock may have been set back.
        guard isRunning, time > last else { return }
        if let shift = periodShift, Self.crystalPeriods(time) >> shift != Self.crystalPeriods(last) >> shift {
            flags |= CMOSRegister.periodic
        }
        let (from, to) = (CMOSClock.split(last).second, CMOSClock.split(time).second)
        if !isSet, from != to {
            flags |= CMOSRegister.updateEnded
            // An alarm comes once a day or more often.
            if hasAlarm(from: max(from &+ 1, to &- Self.secondsPerDay &+ 1), through: to) {
                flags |= CMOSRegister.alarm
            }
        }
        request()
    }

    /// Sets the line to what flags and enabled interrupts say.
    mutating func request() {
        let isWanted = flags & enabledInterrupts != 0
        if isWanted != isRequesting { hasRisen = isWanted }
        isRequesting = isWanted
    }

    /// Register C; a read clears it, and the line falls.
    mutating func readFlags() -> UInt8 {
        defer {
            flags = 0
            request()
        }
        return flags | (isRequesting ? CMOSRegister.interruptPending : 0)
    }

    /// When something may happen next that raises the line; nil where it is high or nothing is enabled.
    func nextEvent(after time: Int64) -> Int64? {
        guard isRunning, !isRequesting else { return nil }
        let enabled = enabledInterrupts
        var next: Int64?
        if enabled & CMOSRegister.periodic != 0, let shift = periodShift {
            let periods = (Self.crystalPeriods(time) >> shift &+ 1) << shift
            let (second, rest) = (periods >> Self.crystalShift, periods & (1 << Self.crystalShift &- 1))
            // Rounded up, so that it has happened by then.
            let nanoseconds = (rest &* HostClock.nanosecondsPerSecond) >> Self.crystalShift &+ 1
            next = second &* HostClock.nanosecondsPerSecond &+ nanoseconds
        }
        if enabled & (CMOSRegister.alarm | CMOSRegister.updateEnded) != 0, !isSet {
            let second = (CMOSClock.split(time).second &+ 1) &* HostClock.nanosecondsPerSecond
            next = min(next ?? second, second)
        }
        return next
    }

    /// The crystal has 2^15 periods a second.
    private static let crystalShift: Int64 = 15
    private static let secondsPerMinute: Int64 = 60
    private static let secondsPerHour: Int64 = 3600
    private static let secondsPerDay: Int64 = 86_400

    private static func crystalPeriods(_ time: Int64) -> Int64 {
        let (second, nanosecond) = CMOSClock.split(time)
        return second << crystalShift &+ (nanosecond << crystalShift) / HostClock.nanosecondsPerSecond
    }

    /// Whether the alarm is at one of some seconds of the host's time, at most a day's. Hours and minutes that are not the
    /// alarm's are passed over as a whole: the host's clock may have been set, or the guest not have looked for a day.
    private func hasAlarm(from first: Int64, through last: Int64) -> Bool {
        // Whichever minute it is, its seconds are the same.
        let secondsOfAMinute = 0..<Self.secondsPerMinute
        guard secondsOfAMinute.contains(where: { isAlarm(.seconds, CalendarTime(secondsSince1970: $0)) }) else {
            return false
        }
        var second = first
        while second <= last {
            let time = CalendarTime(secondsSince1970: second &+ offset)
            if !isAlarm(.hours, time) {
                second &+= Self.secondsPerHour &- Int64(time.minute) &* Self.secondsPerMinute &- Int64(time.second)
            } else if !isAlarm(.minutes, time) {
                second &+= Self.secondsPerMinute &- Int64(time.second)
            } else if isAlarm(.seconds, time) {
                return true
            } else {
                second &+= 1
            }
        }
        return false
    }

    /// Whether a byte of the alarm is that of a time.
    private func isAlarm(_ byte: CMOSRegister.Alarm, _ time: CalendarTime) -> Bool {
        self[byte.rawValue] >= CMOSRegister.anyTime || self[byte.rawValue] == format.encode(time, byte.register)
    }
}
