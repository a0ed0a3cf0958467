@testable import Boot
@testable import Counters
@testable import Host
@testable import KVM
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// What the watch for guests that have halted for good decides, and when it looks.
final class HaltWatchTests: XCTestCase {
    // MARK: What is endless

    private static let halted: VCPUWaitState = {
        var state = VCPUWaitState()
        state.activity = .halted
        state.takesInterrupts = false
        return state
    }()

    private func state(_ change: (inout VCPUWaitState) -> Void) -> VCPUWaitState {
        var state = Self.halted
        change(&state)
        return state
    }

    func testStatesThatNothingEnds() {
        XCTAssertTrue(Self.halted.isEndless)
        XCTAssertTrue(state { $0.activity = .waitsForStart }.isEndless)
        // Both masked: NMI, and fixed. And ExtINT, as the PICs' interrupts come.
        XCTAssertTrue(state { $0.localVectors = [0x1_0400, 0x1_0000] }.isEndless)
        XCTAssertTrue(state { $0.localVectors = [0x1_0000, 0x0_0700] }.isEndless)
    }

    func testStatesThatSomethingEnds() {
        XCTAssertFalse(VCPUWaitState().isEndless)
        XCTAssertFalse(state { $0.activity = .runs }.isEndless)
        XCTAssertFalse(state { $0.takesInterrupts = true }.isEndless)
        XCTAssertFalse(state { $0.hasPendingEvent = true }.isEndless)
        XCTAssertFalse(state { $0.isHypervisor = true }.isEndless)
        XCTAssertFalse(state { $0.localVectors = [0x0_0400, 0x1_0000] }.isEndless)
        XCTAssertFalse(state { $0.localVectors = [0x1_0000, 0x0_0400] }.isEndless)
    }

    func testRedirectionsThatWake() {
        // By delivery mode: fixed, lowest priority, SMI, reserved, NMI, INIT, start-up, ExtINT.
        let wakes = [false, false, true, true, true, true, true, false]
        XCTAssertEqual((0..<8).map { WakeUp.ofRedirection($0 << 8 | 0x31) }, wakes)
        XCTAssertEqual((0..<8).filter { WakeUp.ofRedirection($0 << 8 | 0x1_0031) }, [], "masked")
        // The destination is in the upper half.
        XCTAssertFalse(WakeUp.ofRedirection(0x0f00_0000_0001_0400))
    }

    // MARK: When it looks

    /// A machine of two vCPUs that runs without a watch of its own.
    private func withMachine(_ code: [UInt8], _ body: (Machine) throws -> Void) throws {
        var options = MachineOptions()
        options.cpuCount = 2
        options.trap = .none
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: code), options: options)
        try KickSignal.install()
        machine.control.expect(2)
        let threads = try machine.runners.map { runner in
            try PosixThread(name: "vcpu \(runner.index)") { runner.run() }
        }
        defer {
            machine.control.stop(.stopped)
            for thread in threads { thread.join() }
        }
        try body(machine)
    }

    /// Asks the vCPUs until they are in a state, which is the test's to wait for.
    private func wait(_ machine: Machine, until isReached: @escaping ([VCPUWaitState]) -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(GuestRun.limit)
        var isOver = false
        while !isOver, ContinuousClock.now < deadline {
            machine.control.stop(.stopped, within: .seconds(GuestRun.limit)) { vcpus in
                XCTAssertEqual(vcpus.count, 2)
                isOver = (try? isReached(vcpus.map { try $0.waitState() })) ?? false
                return false
            }
        }
        XCTAssertTrue(isOver)
    }

    private func waitUntilHalted(_ machine: Machine) throws {
        try wait(machine) { states in
            states.allSatisfy { $0.activity != .runs } && states.contains { $0.activity == .halted }
        }
    }

    func testAPauseIsNotDisturbed() throws {
        try withMachine(HaltingGuests.forGood) { machine in
            try waitUntilHalted(machine)
            XCTAssertTrue(machine.control.pause())
            let paused = machine.countersSoFar
            let watch = HaltWatch(machine.control) { 5 }
            for _ in 0..<4 { watch.look() }
            XCTAssertNil(machine.control.ending)
            XCTAssertEqual(machine.countersSoFar, paused)
            machine.control.resume()
            for _ in 0..<2 { watch.look() }
            XCTAssertEqual(machine.control.ending?.name, "halted")
        }
    }

    func testVCPUsThatWorkAreLeftAlone() throws {
        // JMP to itself.
        try withMachine([0xeb, 0xfe]) { machine in
            try wait(machine) { $0.contains { $0.activity == .runs } }
            let before = try kicks(machine)
            var time: UInt64 = 0
            let watch = HaltWatch(machine.control) {
                time += 1
                return time
            }
            for _ in 0..<50 {
                watch.look()
                // Time for a vCPU that was paused to go on.
                usleep(1000)
            }
            // Those of this test, two for each vCPU, at most; one for each look would be 100.
            XCTAssertLessThanOrEqual(try kicks(machine) - before, 4)
            XCTAssertNil(machine.control.ending)
        }
    }

    /// One that is asked while its thread gets no processor time, as on a busy host, is not taken for halted.
    func testVCPUsThatOnlySeemToRestGoOn() throws {
        try withMachine([0xeb, 0xfe]) { machine in
            try wait(machine) { $0.contains { $0.activity == .runs } }
            let watch = HaltWatch(machine.control) { 5 }
            for _ in 0..<10 { watch.look() }
            XCTAssertNil(machine.control.ending)
        }
    }

    /// Before all threads are there, what those say that are is not the whole machine's state.
    func testAVCPUWhoseThreadIsNotThereYet() {
        let control = RunControl()
        control.expect(1)
        control.stop(.halted, within: .milliseconds(20)) { _ in true }
        XCTAssertNil(control.ending)
    }

    /// How often the vCPUs were kicked so far, with those kicks that it takes to ask.
    private func kicks(_ machine: Machine) throws -> UInt64 {
        XCTAssertTrue(machine.control.pause())
        defer { machine.control.resume() }
        return RunStatistics(machine.parts.counters).total.internalExits
    }

    func testThePace() throws {
        let control = RunControl()
        var time: UInt64 = 0
        let watch = HaltWatch(control) { time }
        func pace() -> Int {
            let left = ContinuousClock.now.duration(to: watch.nextLook)
            return Int((left / .milliseconds(1)).rounded(.up))
        }
        func paces(_ count: Int, _ step: UInt64) -> [Int] {
            (0..<count).map { _ in
                time += step
                watch.look()
                return pace()
            }
        }
        // The first look has nothing to compare with.
        XCTAssertEqual(paces(1, 0), [2])
        XCTAssertEqual(paces(7, 1), [4, 8, 16, 32, 64, 64, 64], "the vCPUs work")
        // One look that asks, and one that takes the time that asking took for no work.
        XCTAssertEqual(paces(10, 0), [128, 128, 256, 256, 512, 512, 1024, 1024, 1024, 1024], "they rest")
        XCTAssertEqual(paces(2, 1), [64, 64], "they work again")
    }

    func testWhatKVMTells() throws {
        var options = MachineOptions()
        options.cpuCount = 2
        let machine = try Machine(
            kvm: TestKVM.shared(), guest: FlatGuest(image: HaltingGuests.forGood), options: options)
        let vcpus = machine.runners.map(\.vcpu)
        XCTAssertEqual(try vcpus.map { try $0.waitState().activity }, [.runs, .waitsForStart])
        let redirections = try XCTUnwrap(vcpus.first).owner.redirections()
        // 24 pins, all masked after reset. Source: Intel 82093AA IOAPIC.
        XCTAssertEqual(redirections.count, 24)
        XCTAssertEqual(redirections.filter { $0 & 1 << 16 == 0 }, [])
    }
}
