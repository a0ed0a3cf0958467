import CKVM

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The host's clocks, as devices are given them.
public enum HostClock {
    /// Nanoseconds per second.
    static let nanosecondsPerSecond: Int64 = 1_000_000_000

    /// The time of day: nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds left out. It may jump.
    public static func wallNanoseconds() -> Int64 {
        nanoseconds(of: CLOCK_REALTIME)
    }

    /// Nanoseconds since some moment before this process began. They never go back.
    public static func monotonicNanoseconds() -> UInt64 {
        UInt64(bitPattern: nanoseconds(of: CLOCK_MONOTONIC))
    }

    private static func nanoseconds(of clock: clockid_t) -> Int64 {
        var time = timespec()
        // Sound: the pointer is to a local variable, for the length of the call. The call fails only for a clock that
        // the system does not have, and has both; it would then leave zeros.
        _ = clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* nanosecondsPerSecond &+ Int64(time.tv_nsec)
    }
}
