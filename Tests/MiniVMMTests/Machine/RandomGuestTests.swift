@testable import Counters
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Guests of random bytes: whatever they do, every run ends with an outcome and leaves nothing behind.
final class RandomGuestTests: XCTestCase {
    /// How many guests, and how long each may run.
    private static let count: UInt64 = TestExtent.of(250, exhaustive: 2000)
    private static let limit = Duration.milliseconds(50)
    /// What the process may have grown by in the end, in KiB: far less than the guests' memory together.
    private static let maximumGrowth = 64 * 1024

    func testGuestsOfRandomBytes() throws {
        let traps = [CPUIDTrap.auto, .none] + (try TestKVM.workingTraps())
        // One run first, so that what a process sets up once is not counted as a leak.
        _ = try run(seed: 0, trap: .auto)
        let before = try ProcessStatus()
        var endings: [String: Int] = [:]
        for seed in 1...Self.count {
            let outcome = try run(seed: seed, trap: traps[Int(seed) % traps.count])
            if case .failed(let error) = outcome.ending { XCTFail("seed \(seed): \(error)") }
            endings[outcome.ending.name, default: 0] += 1
            let total = outcome.statistics.total
            XCTAssertEqual(total.kinds.reduce(0) { $0 + $1.exits }, total.exits)
        }
        XCTAssertEqual(endings.values.reduce(0, +), Int(Self.count))
        XCTAssertGreaterThan(endings.count, 1, "guests that all end alike are not random: \(endings)")
        let after = try ProcessStatus()
        XCTAssertEqual(after.descriptors, before.descriptors)
        XCTAssertLessThan(after.residentKiB - before.residentKiB, Self.maximumGrowth)
    }

    private func run(seed: UInt64, trap: CPUIDTrap) throws -> RunOutcome {
        var generator = SeededGenerator(seed: seed)
        let image = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &generator) }
        do {
            return try GuestRun(image, trap: trap, timeout: Self.limit).outcome
        } catch SiteTrapError.tooManySites {
            // More sites than debug registers: an answer that only `debug` gives.
            XCTAssertEqual(trap, .debug)
            return try GuestRun(image, timeout: Self.limit).outcome
        }
    }
}
