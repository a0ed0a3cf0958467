@testable import Devices
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

final class CMOSClockTests: XCTestCase {
    /// A time of day that tests move.
    private final class TestClock: Sendable {
        let nanoseconds: Locked<Int64>

        init(second: Int64) {
            nanoseconds = Locked(second * 1_000_000_000)
        }

        var now: Int64 { nanoseconds.withLock { $0 } }

        func advance(nanoseconds step: Int64) {
            nanoseconds.withLock { $0 += step }
        }
    }

    /// 2024-02-29 13:14:15 UTC, a Thursday.
    private static let leapDay: Int64 = 1_709_212_455

    private func makeClock(_ clock: TestClock, below4GiB: UInt64 = 128 << 20, above4GiB: UInt64 = 0) -> CMOSClock {
        CMOSClock(memoryBelow4GiB: below4GiB, memoryAbove4GiB: above4GiB, now: { clock.now })
    }

    private func read(_ clock: CMOSClock, _ register: UInt8) -> UInt8 {
        clock.writePort(0, width: .byte, value: UInt32(register))
        return UInt8(truncatingIfNeeded: clock.readPort(1, width: .byte))
    }

    private func write(_ clock: CMOSClock, _ register: UInt8, _ value: UInt8) {
        clock.writePort(0, width: .byte, value: UInt32(register))
        clock.writePort(1, width: .byte, value: UInt32(value))
    }

    /// Century, year, month, day, weekday, hours, minutes, seconds.
    private func time(_ clock: CMOSClock) -> [UInt8] {
        [0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00].map { read(clock, $0) }
    }

    func testTimeInBCD() {
        let clock = makeClock(TestClock(second: Self.leapDay))
        XCTAssertEqual(time(clock), [0x20, 0x24, 0x02, 0x29, 0x05, 0x13, 0x14, 0x15])
    }

    func testTimeInBinaryAndTwelveHours() {
        let source = TestClock(second: Self.leapDay)
        let clock = makeClock(source)
        write(clock, 0x0B, 0x06)
        XCTAssertEqual(time(clock), [20, 24, 2, 29, 5, 13, 14, 15])
        write(clock, 0x0B, 0x04)
        XCTAssertEqual(read(clock, 0x04), 0x81)
        write(clock, 0x0B, 0x00)
        XCTAssertEqual(read(clock, 0x04), 0x81)
        for (hour, expected) in [(0, 0x12), (1, 0x01), (11, 0x11), (12, 0x92), (22, 0x90), (23, 0x91)] {
            let source = TestClock(second: Int64(hour) * 3_600)
            let clock = makeClock(source)
            write(clock, 0x0B, 0x00)
            XCTAssertEqual(read(clock, 0x04), UInt8(expected), "hour \(hour)")
        }
    }

    func testRegistersAfterPowerOn() {
        let clock = makeClock(TestClock(second: 0))
        XCTAssertEqual(read(clock, 0x0A), 0x26)
        XCTAssertEqual(read(clock, 0x0B), 0x02)
        XCTAssertEqual(read(clock, 0x0C), 0)
        XCTAssertEqual(read(clock, 0x0D), 0x80)
        XCTAssertEqual(clock.readPort(0, width: .byte), 0xFF)
    }

    func testTimePasses() {
        let source = TestClock(second: Self.leapDay)
        let clock = makeClock(source)
        source.advance(nanoseconds: 86_400 * 1_000_000_000)
        XCTAssertEqual(time(clock), [0x20, 0x24, 0x03, 0x01, 0x06, 0x13, 0x14, 0x15])
    }

    func testUpdateInProgressBeforeTheSecondEnds() {
        let source = TestClock(second: Self.leapDay)
        let clock = makeClock(source)
        XCTAssertEqual(read(clock, 0x0A), 0x26)
        source.advance(nanoseconds: 999_755_859)
        XCTAssertEqual(read(clock, 0x0A), 0x26)
        source.advance(nanoseconds: 1)
        XCTAssertEqual(read(clock, 0x0A), 0xA6)
        XCTAssertEqual(read(clock, 0x00), 0x15)
        write(clock, 0x0B, 0x82)
        XCTAssertEqual(read(clock, 0x0A), 0x26, "no update while the time is set")
        write(clock, 0x0B, 0x02)
        write(clock, 0x0A, 0x76)
        XCTAssertEqual(read(clock, 0x0A), 0x76, "no update while the divider is held")
        write(clock, 0x0A, 0xA6)
        source.advance(nanoseconds: 244_140)
        XCTAssertEqual(read(clock, 0x0A), 0x26, "the bit cannot be written")
        XCTAssertEqual(read(clock, 0x00), 0x16)
    }

    /// Linux's mc146818_set_time() (drivers/rtc/rtc-mc146818-lib.c).
    func testLinuxSetsTheTime() {
        let source = TestClock(second: Self.leapDay)
        let clock = makeClock(source)
        write(clock, 0x0B, 0x82)
        write(clock, 0x0A, 0x76)
        let bytes: [(UInt8, UInt8)] = [
            (0x09, 0x99), (0x08, 0x12), (0x07, 0x31), (0x04, 0x23), (0x02, 0x59), (0x00, 0x58), (0x32, 0x19),
        ]
        for (register, value) in bytes { write(clock, register, value) }
        source.advance(nanoseconds: 5_000_000_000)
        XCTAssertEqual(read(clock, 0x00), 0x58, "the time stands still")
        write(clock, 0x0B, 0x02)
        write(clock, 0x0A, 0x26)
        XCTAssertEqual(time(clock), [0x19, 0x99, 0x12, 0x31, 0x06, 0x23, 0x59, 0x58])
        source.advance(nanoseconds: 2_000_000_000)
        XCTAssertEqual(time(clock), [0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00])
    }

    func testOneByteOfTheTimeCanBeSet() {
        let clock = makeClock(TestClock(second: Self.leapDay))
        write(clock, 0x02, 0x59)
        XCTAssertEqual(time(clock), [0x20, 0x24, 0x02, 0x29, 0x05, 0x13, 0x59, 0x15])
        write(clock, 0x00, 0x60)
        XCTAssertEqual(time(clock), [0x20, 0x24, 0x02, 0x29, 0x05, 0x14, 0x00, 0x00], "a second 60 counts on")
    }

    func testWhatIsNotSetStays() {
        let clock = makeClock(TestClock(second: Self.leapDay))
        write(clock, 0x0B, 0x82)
        write(clock, 0x02, 0x59)
        write(clock, 0x0B, 0x02)
        XCTAssertEqual(time(clock), [0x20, 0x24, 0x02, 0x29, 0x05, 0x13, 0x59, 0x15])
    }

    func testAfternoonIsSetInTwelveHours() {
        let clock = makeClock(TestClock(second: Self.leapDay))
        write(clock, 0x0B, 0x00)
        write(clock, 0x04, 0x92)
        write(clock, 0x0B, 0x02)
        XCTAssertEqual(read(clock, 0x04), 0x12)
        write(clock, 0x0B, 0x00)
        write(clock, 0x04, 0x12)
        write(clock, 0x0B, 0x02)
        XCTAssertEqual(read(clock, 0x04), 0x00)
    }

    /// What has happened stands in register C whether or not there are interrupts of it: the periodic flag, too, whose rate
    /// is 1,024 Hz at first.
    func testFlags() {
        let source = TestClock(second: Self.leapDay)
        let clock = makeClock(source)
        XCTAssertEqual(read(clock, 0x0C), 0)
        source.advance(nanoseconds: 976_562)
        XCTAssertEqual(read(clock, 0x0C), 0)
        source.advance(nanoseconds: 1)
        XCTAssertEqual(read(clock, 0x0C), 0x40)
        source.advance(nanoseconds: 1_000_000_000)
        XCTAssertEqual(read(clock, 0x0C), 0x50)
        XCTAssertEqual(read(clock, 0x0C), 0, "reading clears it")
        XCTAssertFalse(clock.isArmed)
        XCTAssertFalse(clock.takeInterrupt())
        XCTAssertNil(clock.timeToInterrupt)
        // No rate, and then no time that goes on.
        write(clock, 0x0A, 0x20)
        source.advance(nanoseconds: 1_000_000_000)
        XCTAssertEqual(read(clock, 0x0C), 0x10)
        write(clock, 0x0B, 0x92)
        XCTAssertEqual(read(clock, 0x0B), 0x82, "SET clears the update-ended interrupt")
        source.advance(nanoseconds: 1_000_000_000)
        XCTAssertEqual(read(clock, 0x0C), 0)
    }

    func testPeriodicInterrupt() {
        let source = TestClock(second: Self.leapDay)
        let clock = makeClock(source)
        // 8,192 Hz.
        write(clock, 0x0A, 0x23)
        write(clock, 0x0B, 0x42)
        XCTAssertTrue(clock.isArmed)
        XCTAssertEqual(clock.timeToInterrupt, 122_071)
        XCTAssertFalse(clock.takeInterrupt())
        source.advance(nanoseconds: 122_071)
        XCTAssertEqual(clock.timeToInterrupt, 0)
        XCTAssertTrue(clock.takeInterrupt())
        // The line stays high until register C is read.
        source.advance(nanoseconds: 500_000)
        XCTAssertFalse(clock.takeInterrupt())
        XCTAssertNil(clock.timeToInterrupt)
        XCTAssertEqual(read(clock, 0x0C), 0xC0)
        XCTAssertEqual(clock.timeToInterrupt, 732_422 - 622_071)
        // The two fastest rates are slow ones, and there is none without a rate.
        for (rate, nanoseconds): (UInt8, UInt64) in [(1, 3_906_251), (2, 7_812_501), (15, 500_000_001)] {
            write(clock, 0x0A, 0x20 | rate)
            XCTAssertEqual(clock.timeToInterrupt, nanoseconds - 622_071)
        }
        write(clock, 0x0A, 0x20)
        XCTAssertNil(clock.timeToInterrupt)
        // What has happened before raises the line as soon as it is enabled.
        write(clock, 0x0B, 0x02)
        source.advance(nanoseconds: 1_000_000_000)
        write(clock, 0x0B, 0x12)
        XCTAssertTrue(clock.takeInterrupt())
        XCTAssertEqual(read(clock, 0x0C), 0x90)
    }

    func testAlarm() {
        let source = TestClock(second: Self.leapDay)
        let clock = makeClock(source)
        // 13:14:17.
        for (register, value): (UInt8, UInt8) in [(0x01, 0x17), (0x03, 0x14), (0x05, 0x13), (0x0B, 0x22)] {
            write(clock, register, value)
        }
        source.advance(nanoseconds: 1_500_000_000)
        XCTAssertFalse(clock.takeInterrupt())
        XCTAssertEqual(clock.timeToInterrupt, 500_000_000)
        source.advance(nanoseconds: 500_000_000)
        XCTAssertTrue(clock.takeInterrupt())
        XCTAssertEqual(read(clock, 0x0C), 0xF0)
        source.advance(nanoseconds: 86_399_000_000_000)
        XCTAssertFalse(clock.takeInterrupt())
        // The next day, however late somebody looks.
        source.advance(nanoseconds: 3_600_000_000_000)
        XCTAssertTrue(clock.takeInterrupt())
        XCTAssertEqual(read(clock, 0x0C), 0xF0)
        // Whatever the minute and the hour.
        write(clock, 0x03, 0xFF)
        write(clock, 0x05, 0xC0)
        source.advance(nanoseconds: 60_000_000_000)
        XCTAssertEqual(read(clock, 0x0C), 0xF0)
        // The host's clock is set back.
        source.advance(nanoseconds: -600_000_000_000)
        XCTAssertFalse(clock.takeInterrupt())
        XCTAssertEqual(read(clock, 0x0C), 0)
    }

    /// Who looks once sees what those see who look every second.
    func testAlarmsOfAnyKindAfterAnyTime() {
        // The time is 13:59:15. Bytes that match soon, later, never, and always.
        let start = Self.leapDay + 45 * 60
        for seconds: UInt8 in [0x14, 0x15, 0x7F, 0xC0] {
            for minutes: UInt8 in [0x59, 0x03, 0x60, 0xFF] {
                for hours: UInt8 in [0x13, 0x14, 0x24, 0xC3] {
                    for span: Int64 in [1, 60, 290] {
                        let (often, once) = (TestClock(second: start), TestClock(second: start))
                        let clocks = (often: makeClock(often), once: makeClock(once))
                        for clock in [clocks.often, clocks.once] {
                            for (register, value) in [(0x01, seconds), (0x03, minutes), (0x05, hours), (0x0B, 0x22)] {
                                write(clock, UInt8(register), value)
                            }
                        }
                        var flags: UInt8 = 0
                        for _ in 0..<span {
                            often.advance(nanoseconds: 1_000_000_000)
                            flags |= read(clocks.often, 0x0C)
                        }
                        once.advance(nanoseconds: span * 1_000_000_000)
                        XCTAssertEqual(read(clocks.once, 0x0C), flags, "\(hours):\(minutes):\(seconds), \(span)")
                    }
                }
            }
        }
    }

    func testMemorySizes() {
        func word(_ clock: CMOSClock, _ register: UInt8) -> Int {
            Int(read(clock, register)) | Int(read(clock, register + 1)) << 8
        }
        let small = makeClock(TestClock(second: 0), below4GiB: 8 << 20)
        XCTAssertEqual(word(small, 0x15), 640)
        XCTAssertEqual(word(small, 0x17), 7 * 1024)
        XCTAssertEqual(word(small, 0x30), 7 * 1024)
        XCTAssertEqual(word(small, 0x34), 0)
        let tiny = makeClock(TestClock(second: 0), below4GiB: 64 << 10)
        XCTAssertEqual(word(tiny, 0x15), 64)
        XCTAssertEqual(word(tiny, 0x17), 0)
        let large = makeClock(TestClock(second: 0), below4GiB: 3 << 30, above4GiB: 2 << 30)
        XCTAssertEqual(word(large, 0x17), 0xFFFF)
        XCTAssertEqual(word(large, 0x34), (3 << 14) - 256)
        XCTAssertEqual(word(large, 0x5B), 2 << 14)
        XCTAssertEqual(read(large, 0x5D), 0)
        let absurd = makeClock(TestClock(second: 0), below4GiB: .max, above4GiB: .max)
        XCTAssertEqual(word(absurd, 0x34), 0xFFFF)
        XCTAssertEqual([0x5B, 0x5C, 0x5D].map { read(absurd, $0) }, [0xFF, 0xFF, 0xFF])
    }

    func testOtherBytesAreMemory() {
        let clock = makeClock(TestClock(second: 0))
        for register: UInt8 in [0x01, 0x0E, 0x0F, 0x33, 0x7F] {
            write(clock, register, 0xA5)
            XCTAssertEqual(read(clock, register), 0xA5)
        }
        write(clock, 0xFF, 0x5A)
        XCTAssertEqual(read(clock, 0x7F), 0x5A, "bit 7 of the number masks the NMI")
        write(clock, 0x0D, 0)
        XCTAssertEqual(read(clock, 0x0D), 0x80)
    }

    func testEveryValueOfEveryByteOfTheTimeIsHarmless() {
        for format: UInt8 in [0x00, 0x02, 0x04, 0x06] {
            let clock = makeClock(TestClock(second: Self.leapDay))
            for register: UInt8 in [0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32] {
                for value in UInt8.min...UInt8.max {
                    write(clock, 0x0B, format)
                    write(clock, register, value)
                    _ = time(clock)
                }
            }
        }
        for clock in [Int64.min, Int64.max].map({ second in CMOSClock(memoryBelow4GiB: 0, now: { second }) }) {
            write(clock, 0x09, 0xFF)
            _ = time(clock)
        }
    }
}
