@testable import Boot
import CKVM
@testable import Counters
@testable import Devices
@testable import Host
@testable import KVM
@testable import Memory
import Synchronization
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM

/// Every exit by reason, those that KVM settles itself included: exact in every round, by either way to KVM's tracepoints.
final class AllExitsTests: KVMTestCase {
    /// What a guest does N times, and the type that it is.
    private struct Work {
        let name: String
        let type: BasicExitReason
        /// The instructions, in 32-bit code; ESI and EBP are theirs, EDI is not.
        let code: [UInt8]
    }

    private static let works = [
        Work(
            name: "CPUID", type: .cpuid,
            code: [
                0x31, 0xc0,  // xor eax, eax
                0x31, 0xc9,  // xor ecx, ecx
                0x0f, 0xa2,  // cpuid
            ]),
        Work(
            name: "WRMSR", type: .wrmsr,
            code: [
                0xb9, 0xff, 0x02, 0x00, 0x00,  // mov ecx, 0x2ff: IA32_MTRR_DEF_TYPE
                0x31, 0xc0,  // xor eax, eax
                0x31, 0xd2,  // xor edx, edx
                0x0f, 0x30,  // wrmsr
            ]),
        Work(
            name: "RDMSR", type: .rdmsr,
            code: [
                0xb9, 0xff, 0x02, 0x00, 0x00,  // mov ecx, 0x2ff: IA32_MTRR_DEF_TYPE
                0x0f, 0x32,  // rdmsr
            ]),
        Work(
            name: "first touch", type: .eptViolation,
            code: [
                0x88, 0x06,  // mov [esi], al
                0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,  // add esi, 0x1000
            ]),
    ]

    /// Rounds of each.
    private static let rounds = UInt32(TestExtent.of(10, exhaustive: 100))

    /// The port that a guest writes to between its rounds.
    private static let roundPort: UInt8 = 0x99
    private static let touched: UInt32 = 0x20_0000

    /// A guest that writes to the round port, does the work N times, writes to it again, and so on.
    private static func guest(_ work: Work, count: UInt32, rounds: UInt32) -> [UInt8] {
        let body: [UInt8] =
            [0xbf] + count.littleEndianBytes  // mov edi, count
            + work.code  // again:
            + [0x4f]  // dec edi
            + [0x75, UInt8(truncatingIfNeeded: -(work.code.count + 3))]  // jnz again
            + [0xe6, roundPort]  // out round port, al
            + [0xff, 0x0d, 0x00, 0x70, 0x00, 0x00]  // dec dword ptr [0x7000]
        return [0xbe] + touched.littleEndianBytes  // mov esi, touched
            + [0xc7, 0x05, 0x00, 0x70, 0x00, 0x00] + rounds.littleEndianBytes  // mov dword ptr [0x7000], rounds
            + [0xe6, roundPort]  // out round port, al
            + body
            + [0x75, UInt8(truncatingIfNeeded: -(body.count + 2))]  // jnz body
            + [0xfa, 0xf4]  // cli; hlt
    }

    /// Runs a guest, and looks at the source at each write to the round port.
    private static func looks(
        _ code: [UInt8], _ method: ExitTracepoints.Method, cpus: Int = 1, mode: ProcessorMode = .protected32,
        places: Int? = nil, trace: Int? = nil
    ) throws -> (looks: [Rounds.Look], outcome: RunOutcome) {
        let rounds = Rounds()
        var options = MachineOptions()
        options.trap = .none
        options.exits = .all
        options.tracepointMethod = method
        options.cpuCount = cpus
        options.recording.placeCapacity = places
        options.recording.traceCapacity = trace
        options.recording.tracesKernel = trace != nil
        options.recording.keepsTimeline = trace != nil
        options.components = [RoundsComponent(rounds: rounds, port: UInt16(Self.roundPort))]
        let console = try CapturedConsole()
        options.consoleDescriptor = console.descriptor
        var guest = FlatGuest(image: code)
        guest.memorySize = 1 << 29
        let machine = try Machine(kvm: TestKVM.shared(), guest: guest, options: options)
        machine.parts.memory.forbidHugePages()
        try mode.enter(machine)
        rounds.source.withLock { $0 = machine.parts.source }
        let outcome = try withExtendedLifetime(console) { try machine.run(timeout: .seconds(GuestRun.limit)) }
        return (rounds.looks.withLock { $0 }, outcome)
    }

    func testRaw() throws { try check(.raw) }
    func testClassic() throws { try check(.classic) }

    func testTwoMachinesAtOnce() throws {
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            let work = Self.works[0]
            let results = Locked<[(looks: [Rounds.Look], outcome: RunOutcome)]>([])
            let counts: [UInt32] = [100, 170]
            let threads = try counts.map { count in
                try PosixThread(name: "machine") {
                    guard let result = try? Self.looks(Self.guest(work, count: count, rounds: 20), method) else {
                        return
                    }
                    results.withLock { $0.append(result) }
                }
            }
            for thread in threads { thread.join() }
            let rises = results.withLock { $0 }.map { result in
                Set(zip(result.looks, result.looks.dropFirst()).map { $1.exits(.cpuid) - $0.exits(.cpuid) })
            }
            XCTAssertEqual(Set(rises), [[100], [170]], "\(method)")
            for look in results.withLock({ $0 }).flatMap(\.looks) {
                XCTAssertEqual(look.hardwareExits, look.kernelCount, "\(method)")
            }
        }
    }

    func testFourVCPUs() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "smp"))
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            let (_, outcome) = try Self.looks(guest.image, method, cpus: 4, mode: .real)
            guard case .exitPort = outcome.ending else { return XCTFail(outcome.ending.summary) }
            let kernel = try XCTUnwrap(outcome.kernelSettled)
            XCTAssertEqual(kernel.hardwareExits, kernel.kernelCount, "\(method)")
            XCTAssertEqual(kernel.vcpus.count, 4)
            XCTAssertEqual(
                kernel.vcpus.joined().reduce(0) { $0 + $1.hardwareExits }, kernel.hardwareExits, "\(method)")
            // Each of them asks five leaves, and the first nine more.
            let cpuids = kernel.vcpus.map { rows in rows.first { $0.reason == .cpuid }?.exits }
            XCTAssertEqual(cpuids, [14, 5, 5, 5], "\(method)")
        }
    }

    /// Each place has its instruction's address, what it was about, and its count.
    func testPlaces() throws {
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            for (work, subject) in zip(
                Self.works,
                [
                    ExitPlaces.Subject.cpuid(leaf: 0, subleaf: 0), .msr(0x2ff), .msr(0x2ff),
                    .page(UInt64(Self.touched)),
                ])
            {
                let isTouch = work.type == .eptViolation
                let (_, outcome) = try Self.looks(
                    Self.guest(work, count: 7, rounds: 3), method, places: isTouch ? 1000 : 100)
                let kept = try XCTUnwrap(outcome.places)
                XCTAssertEqual(kept.kernelLostExits, 0)
                let places = kept.places.filter {
                    $0.exit.isKernels && $0.exit.reason == work.type && $0.subject != nil
                }
                let place = try XCTUnwrap(places.first { $0.subject == subject }, "\(method) \(work.name): \(places)")
                XCTAssertEqual(place.exits, isTouch ? 1 : 21, "\(method) \(work.name)")
                // Behind MOV ESI, MOV to memory, OUT and MOV EDI; the last instruction, but for a touch the first.
                let start = 0x7c00 + 5 + 10 + 2 + 5
                let offset = isTouch ? 0 : work.code.count - 2
                XCTAssertEqual(place.address, UInt64(start + offset), "\(method) \(work.name)")
                if isTouch {
                    XCTAssertGreaterThanOrEqual(places.count, 21)
                }
            }
        }
    }

    /// What finds no room is counted.
    func testPlacesWithoutRoom() throws {
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            let work = Self.works[3]
            let (_, outcome) = try Self.looks(Self.guest(work, count: 50, rounds: 1), method, places: 8)
            let kernel = try XCTUnwrap(outcome.kernelSettled)
            let kept = try XCTUnwrap(outcome.places)
            let places = kept.places.filter(\.exit.isKernels)
            XCTAssertLessThanOrEqual(places.count, 8)
            XCTAssertEqual(
                places.reduce(0) { $0 + $1.exits } + (kept.kernelLostExits ?? 0), kernel.exits, "\(method)")
        }
    }

    /// The exits one by one, and over time: as many as are counted, in their order, and within the run.
    func testTraceAndTimeline() throws {
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            let before = ckvm_rdtsc()
            let (_, outcome) = try Self.looks(Self.guest(Self.works[0], count: 2000, rounds: 3), method, trace: 1 << 14)
            let after = ckvm_rdtsc()
            let kernel = try XCTUnwrap(outcome.kernelSettled)
            let track = try XCTUnwrap(outcome.trace?.kernelTracks.first, "\(method)")
            XCTAssertEqual(track.lostCount, 0)
            for row in KernelSettledExits.Row.byReason(kernel.rows) where row.exits > 0 && row.reason != nil {
                let events = track.events.filter { $0.reason == row.reason }
                // The last exit of a run may be one that no entry came after.
                XCTAssertLessThanOrEqual(row.exits - UInt64(events.count), 1, "\(method) \(row)")
                XCTAssertEqual(events.reduce(0) { $0 + $1.nanoseconds }, row.nanoseconds, "\(method) \(row)")
            }
            XCTAssertEqual(track.events.filter { $0.reason == .cpuid }.count, 6000)
            for (event, next) in zip(track.events, track.events.dropFirst()) {
                XCTAssertLessThanOrEqual(event.start + event.cycles, next.start + 1)
            }
            // Both clocks are the same: what happened between two OUTs is traced between them.
            let outs = try XCTUnwrap(outcome.trace?.tracks.first).events.filter {
                $0.kind == .portOut && $0.subject == UInt64(Self.roundPort)
            }
            XCTAssertEqual(outs.count, 4)
            let rounds = zip(outs, outs.dropFirst()).map { from, to in
                track.events.filter { $0.reason == .cpuid && $0.start > from.start && $0.start < to.start }.count
            }
            // An emulated machine takes up to a hundred microseconds to read a clock, in which there are many CPUIDs.
            for round in rounds { XCTAssertEqual(Double(round), 2000, accuracy: 400, "\(method)") }
            for event in track.events { XCTAssertTrue(event.start > before && event.start < after, "\(method)") }

            let timeline = try XCTUnwrap(outcome.timeline)
            let sums = timeline.kernelSeries.map { [$0.type.map { Int($0.rawValue) }, Int($0.exits.reduce(0, +))] }
            let rows = KernelSettledExits.Row.byReason(kernel.rows).filter { $0.exits > 0 && $0.reason != nil }
                .sorted { ($0.reason?.rawValue ?? 0) < ($1.reason?.rawValue ?? 0) }
            XCTAssertEqual(
                sums.filter { $0[0] != nil }, rows.map { [$0.reason.map { Int($0.rawValue) }, Int($0.exits)] })
            XCTAssertTrue(timeline.kernelSeries.allSatisfy { $0.exits.count == timeline.intervalCount })
            XCTAssertEqual(timeline.vcpus.map(\.kernelSeries), [timeline.kernelSeries])
        }
    }

    func testTheLastExitsAreTraced() throws {
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            let (_, outcome) = try Self.looks(Self.guest(Self.works[0], count: 500, rounds: 1), method, trace: 60)
            let track = try XCTUnwrap(outcome.trace?.kernelTracks.first)
            XCTAssertEqual(track.events.count, 64)
            XCTAssertGreaterThanOrEqual(track.lostCount, 500 - 64)
            XCTAssertEqual(track.events.map(\.start), track.events.map(\.start).sorted())
        }
    }

    private func check(_ method: ExitTracepoints.Method) throws {
        try TestKVM.require(method)
        for work in Self.works {
            for count: UInt32 in [1, 10, 100, 1000] {
                let rounds: UInt32 = work.type == .eptViolation ? min(Self.rounds, 100_000 / count) : Self.rounds
                let (looks, outcome) = try Self.looks(Self.guest(work, count: count, rounds: rounds), method)
                let what = "\(method) \(count) \(work.name)"
                guard case .halted = outcome.ending else { return XCTFail("\(what): \(outcome.ending.summary)") }
                XCTAssertEqual(looks.count, Int(rounds) + 1, what)
                for (before, after) in zip(looks, looks.dropFirst()) {
                    XCTAssertEqual(after.exits(work.type) - before.exits(work.type), UInt64(count), what)
                    XCTAssertEqual(after.hardwareExits, after.kernelCount, what)
                    XCTAssertEqual(after.types.reduce(0, +), after.total, "\(what): the types add up to the total")
                    // The work, the OUT, and interrupts of the host.
                    let interrupts = after.exits(.externalInterrupt) - before.exits(.externalInterrupt)
                    XCTAssertEqual(after.total - before.total, UInt64(count) + 1 + interrupts, what)
                    XCTAssertGreaterThanOrEqual(after.cycles, before.cycles, what)
                }
            }
        }
    }
}

/// Looks at a machine's counts at each write to a port.
private final class Rounds: PortIODevice, Sendable {
    struct Look {
        let total: UInt64
        let cycles: UInt64
        let types: [UInt64]
        let hardwareExits: UInt64
        let kernelCount: UInt64

        func exits(_ type: BasicExitReason) -> UInt64 { types[Int(type.rawValue)] }
    }

    let source = Locked<(any CounterSource)?>(nil)
    let looks = Locked<[Look]>([])

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0 }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        guard let source = source.withLock({ $0 }) as? AllExitsSource else { return }
        let types = (0...BasicExitReason.maximum).map { number in
            BasicExitReason(rawValue: number).map { source.exits(of: .sdm($0)) } ?? 0
        }
        let look = Look(
            total: source.totalExits, cycles: source.totalCycles, types: types, hardwareExits: source.hardwareExits,
            kernelCount: source.kernelExits?.total ?? 0)
        looks.withLock { $0.append(look) }
    }
}

private struct RoundsComponent: Component {
    let rounds: Rounds
    let port: UInt16

    func attach(to attachments: inout Attachments) throws {
        attachments.ports(rounds, named: "rounds", at: port...port)
    }
}

extension GuestMemory {
    /// Keeps the kernel from mapping it in large pages, so that each page is touched for a first time.
    fileprivate func forbidHugePages() {
        // Sound: advice about memory that is mapped; it changes no byte.
        for region in regions { unsafe madvise(region.hostAddress, Int(region.size), MADV_NOHUGEPAGE) }
    }
}

extension UInt32 {
    var littleEndianBytes: [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: self >> (8 * UInt32($0))) }
    }
}
