@testable import Boot
@testable import Counters
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Guests of random bytes and of hostile code: whatever they do, every run ends with an outcome, in time, and leaves
/// nothing behind.
final class RandomGuestTests: XCTestCase {
    private static let flatCount: UInt64 = TestExtent.of(
        TestBed.isEmulated ? 60 : 250, exhaustive: 2000, total: 100_000)
    private static let kernelCount: UInt64 = TestExtent.of(24, exhaustive: 400, total: 20_000)
    private static let machineCount = TestExtent.of(TestBed.isEmulated ? 20 : 100, exhaustive: 1000, total: 10_000)
    /// How long each may run. What a guest does that goes on for longer, it has done by then.
    private static let limit = Duration.milliseconds(TestExtent.totalsDivisor == nil ? 50 : 10)
    /// When a run is over that had to be ended, on a machine that is busy.
    private static let patience = Duration.seconds(60)
    /// What the process may have grown by in the end, in KiB: far less than the guests' memory together, or 1 KiB for each
    /// of the many.
    private static let maximumGrowth = 64 * 1024

    /// Runs guests, and checks what is true of each, and of this process after all of them.
    private func runGuests(_ count: UInt64, _ name: String, _ run: (_ seed: UInt64) throws -> RunOutcome) throws {
        // Some runs first, so that what a process sets up once is not counted as a leak.
        for seed in 0..<min(count, 24) { _ = try run(seed) }
        let before = try ProcessStatus()
        var endings: [String: Int] = [:]
        for seed in 1...count {
            let start = ContinuousClock.now
            let outcome = try run(seed)
            XCTAssertLessThan(start.duration(to: .now), Self.patience, "seed \(seed)")
            if case .failed(let error) = outcome.ending { XCTFail("seed \(seed): \(error)") }
            endings[outcome.ending.name, default: 0] += 1
            let total = outcome.statistics.total
            XCTAssertEqual(total.kinds.reduce(0) { $0 + $1.exits }, total.exits)
        }
        XCTAssertEqual(endings.values.reduce(0, +), Int(count))
        XCTAssertGreaterThan(endings.count, 1, "guests that all end alike are not random: \(endings)")
        try checkNothingIsLeft(since: before, "\(count) \(name), \(endings)")
    }

    private func checkNothingIsLeft(since before: ProcessStatus, _ what: String) throws {
        var after = try ProcessStatus()
        // The kernel counts a thread for some moments after it was joined, and so it may have done before.
        let start = ContinuousClock.now
        while after.threads > before.threads, start.duration(to: .now) < Self.patience { after = try ProcessStatus() }
        XCTAssertEqual(after.descriptors, before.descriptors)
        XCTAssertLessThanOrEqual(after.threads, before.threads)
        XCTAssertLessThan(after.residentKiB - before.residentKiB, Self.maximumGrowth)
        TestExtent.report(
            "\(what); resident \(before.residentKiB) KiB and then \(after.residentKiB); descriptors "
                + "\(after.descriptors), threads \(after.threads)")
    }

    func testGuestsOfRandomBytes() throws {
        let traps = [CPUIDTrap.auto, .none] + (try TestKVM.workingTraps())
        try runGuests(Self.flatCount, "flat guests") { seed in
            try runFlatGuest(seed: seed, trap: traps[Int(seed) % traps.count], cpus: Self.cpus(seed / 5))
        }
    }

    /// One to four vCPUs: mostly one, because machines with several take much longer to make and to end.
    private static func cpus(_ number: UInt64) -> Int { TestBed.isEmulated ? 1 : max(1, Int(number % 8) - 3) }

    private func runFlatGuest(seed: UInt64, trap: CPUIDTrap, cpus: Int) throws -> RunOutcome {
        var generator = SeededGenerator(seed: seed)
        let image =
            seed.isMultiple(of: 2) || TestBed.isEmulated
            ? (0..<4096).map { _ in UInt8.random(in: 0...255, using: &generator) }
            : HostileCode.bytes(seed: seed, count: 4096, is32Bit: false)
        do {
            return try GuestRun(image, trap: trap, cpus: cpus, timeout: Self.limit).outcome
        } catch SiteTrapError.tooManySites {
            // More sites than debug registers: an answer that only `debug` gives.
            XCTAssertEqual(trap, .debug)
            return try GuestRun(image, cpus: cpus, timeout: Self.limit).outcome
        }
    }

    /// Kernels with all devices, ACPI, interrupt controllers and a timer.
    func testHostileKernels() throws {
        try XCTSkipIf(TestBed.isEmulated, "it is the emulator around this bed that crashes of some of them (QEMU 7.2)")
        let traps = [CPUIDTrap.none, .auto] + (try TestKVM.shared().supportsFaultTrap() ? [.fault] : [])
        try runGuests(Self.kernelCount, "PVH kernels") { seed in
            let machine = try makeKernelMachine(
                seed: seed, trap: traps[Int(seed) % traps.count], cpus: Self.cpus(seed / 3))
            return try machine.run(timeout: Self.limit)
        }
    }

    private let console = Result { try CapturedConsole() }

    private func makeKernelMachine(seed: UInt64, trap: CPUIDTrap, cpus: Int) throws -> Machine {
        var kernel = SampleELF(entry: 0x10_0000)
        kernel.segments[0].bytes = HostileCode.bytes(seed: seed, count: 4096, is32Bit: true)
        kernel.segments[0].memorySize = 4096
        var settings = GuestSettings()
        settings.memorySize = 16 << 20
        let guest = try GuestLoaders.guest(kernel.file, settings)
        var options = MachineOptions()
        options.trap = trap
        options.cpuCount = cpus
        // What it does is no operating system's work, and runs where KVM emulates ring 0.
        options.triesUnsupportedGuests = true
        options.consoleDescriptor = try console.get().descriptor
        return try Machine(kvm: TestKVM.shared(), guest: guest, options: options)
    }

    /// Machines of all kinds: some run, and some are given up before.
    func testMachinesMadeAndClosed() throws {
        let make = { (seed: Int) throws in
            let cpus = Self.cpus(UInt64(seed))
            if seed.isMultiple(of: 3) { return try self.makeKernelMachine(seed: UInt64(seed), trap: .none, cpus: cpus) }
            var options = MachineOptions()
            options.cpuCount = cpus
            options.recording.keepsTimeline = seed % 3 == 1
            options.consoleDescriptor = try self.console.get().descriptor
            return try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: TinyGuest.letter), options: options)
        }
        for seed in 0..<24 { _ = try make(seed).run(timeout: Self.limit) }
        let before = try ProcessStatus()
        for seed in 0..<Self.machineCount {
            let machine = try make(seed)
            if seed.isMultiple(of: 5) { _ = try machine.run(timeout: Self.limit) }
        }
        try checkNothingIsLeft(since: before, "\(Self.machineCount) machines made and closed")
    }
}
