@testable import Boot
@testable import Counters
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM

/// Where exits come from: every row of a guest whose every exit is known, to the exit.
final class ExitPlacesTests: XCTestCase {
    private typealias Subject = ExitPlaces.Subject

    /// Something that a guest does a number of times, at one instruction.
    private struct Work {
        let count: UInt8
        /// What its exits are, and what they are about; nil where KVM settles them.
        let kind: ExitKind?
        let subject: Subject
        /// The instructions, in 16-bit code, the last of which exits; ESI is not theirs.
        let code: [UInt8]
        /// The bytes of the last one.
        let length: Int
    }

    private static let works = [
        Work(
            count: 5, kind: .portOut, subject: .port(0x80),
            code: [0xe6, 0x80],  // out 0x80, al
            length: 2),
        Work(
            count: 7, kind: .portOut, subject: .port(0x99),
            code: [0xe6, 0x99],  // out 0x99, al
            length: 2),
        Work(
            count: 3, kind: .portIn, subject: .port(0x98),
            code: [0xe4, 0x98],  // in al, 0x98
            length: 2),
        Work(
            count: 4, kind: .mmioWrite, subject: .page(0xb_8000),
            code: [0xa2, 0x10, 0x00],  // mov [0x10], al
            length: 3),
        Work(
            count: 6, kind: .mmioRead, subject: .page(0xb_9000),
            code: [0xa0, 0x00, 0x10],  // mov al, [0x1000]
            length: 3),
        Work(count: 2, kind: .cpuid, subject: .cpuid(leaf: 0, subleaf: 0), code: cpuid(0, 0), length: 2),
        Work(count: 8, kind: .cpuid, subject: .cpuid(leaf: 0xd, subleaf: 1), code: cpuid(0xd, 1), length: 2),
        Work(
            count: 9, kind: .cpuid, subject: .cpuid(leaf: 0x4000_0000, subleaf: 0), code: cpuid(0x4000_0000, 0),
            length: 2),
        Work(count: 10, kind: nil, subject: .msr(0x2ff), code: rdmsr(0x2ff), length: 2),
        Work(count: 11, kind: nil, subject: .msr(0x250), code: rdmsr(0x250), length: 2),
    ]

    private static func cpuid(_ leaf: UInt32, _ subleaf: UInt32) -> [UInt8] {
        [0x66, 0xb8] + leaf.littleEndianBytes  // mov eax, leaf
            + [0x66, 0xb9] + subleaf.littleEndianBytes  // mov ecx, subleaf
            + [0x0f, 0xa2]  // cpuid
    }

    private static func rdmsr(_ number: UInt32) -> [UInt8] {
        [0x66, 0xb9] + number.littleEndianBytes  // mov ecx, number
            + [0x0f, 0x32]  // rdmsr
    }

    /// The guest, from an address on, and the address of each work's last instruction.
    private static func guest(after prefix: [UInt8]) -> (code: [UInt8], addresses: [UInt64]) {
        var code =
            prefix + [
                0xb8, 0x00, 0xb8,  // mov ax, 0xb800
                0x8e, 0xd8,  // mov ds, ax
            ]
        var addresses: [UInt64] = []
        for work in works {
            code += [0x66, 0xbe, work.count, 0, 0, 0]  // mov esi, count
            code += work.code  // again:
            addresses.append(0x7c00 + UInt64(code.count - work.length))
            code += [0x66, 0x4e]  // dec esi
            code += [0x75, UInt8(truncatingIfNeeded: -(work.code.count + 4))]  // jnz again
        }
        code += [
            0xfa,  // cli
            0xf4,  // hlt
            0xeb, 0xfd,  // jmp to the hlt
        ]
        return (code, addresses)
    }

    private func run(
        _ image: [UInt8], cpus: Int = 1, trap: CPUIDTrap = .auto, capacity: Int = 1000, exits: ExitScope = .user
    ) throws -> RunOutcome {
        let captured = try CapturedConsole()
        var options = MachineOptions()
        options.consoleDescriptor = captured.descriptor
        options.cpuCount = cpus
        options.trap = trap
        options.exits = exits
        options.recording.placeCapacity = capacity
        return try withExtendedLifetime(captured) {
            try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: image), options: options)
                .run(timeout: .seconds(GuestRun.limit))
        }
    }

    /// Each row of each vCPU.
    private func check(cpus: Int, trap: CPUIDTrap, exits: ExitScope) throws {
        let (code, addresses) = Self.guest(after: cpus > 1 ? SeveralCPUGuests.startAll : [])
        let outcome = try run(code, cpus: cpus, trap: trap, exits: exits)
        guard case .halted = outcome.ending else { return XCTFail(outcome.ending.summary) }
        let kept = try XCTUnwrap(outcome.places)
        XCTAssertEqual(kept.lostExits, 0)
        let own = kept.places.filter { !$0.exit.isKernels }
        for vcpu in 0..<cpus {
            for (work, address) in zip(Self.works, addresses) {
                let what = "\(trap), vCPU \(vcpu) of \(cpus), \(work.subject)"
                guard let kind = work.kind else {
                    guard exits == .all else { continue }
                    let places = kept.places.filter {
                        $0.vcpu == vcpu && $0.exit.reason == .rdmsr && $0.subject == work.subject
                    }
                    XCTAssertEqual(places.map(\.exits), [UInt64(work.count)], what)
                    XCTAssertEqual(places.map(\.address), [address], what)
                    XCTAssertEqual(places.map { $0.histogram.reduce(0, +) }, [UInt64(work.count)], what)
                    continue
                }
                let places = own.filter {
                    $0.vcpu == vcpu && $0.exit == .minivmm(kind) && $0.subject == work.subject
                }
                XCTAssertEqual(places.map(\.exits), [UInt64(work.count)], what)
                let place = try XCTUnwrap(places.first, what)
                // Behind an OUT or a store, where KVM's emulator ran it; a CPUID's address is known.
                let offset = place.address.map { $0 &- address }
                let after = kind == .cpuid ? 0 : UInt64(work.length)
                XCTAssertTrue(offset == 0 || offset == after, "\(what) \(String(describing: place.address))")
                XCTAssertEqual(place.histogram.reduce(0, +), place.exits, what)
            }
        }
        // Nothing besides, and the same times as the counters have.
        for statistics in outcome.statistics.vcpus {
            for kind in statistics.kinds {
                let places = own.filter { $0.vcpu == statistics.vcpu && $0.exit == .minivmm(kind.kind) }
                XCTAssertEqual(places.reduce(0) { $0 + $1.exits }, kind.exits, "\(kind.kind)")
                XCTAssertEqual(places.reduce(0) { $0 + $1.time }, kind.serviceCycles, "\(kind.kind)")
            }
        }
    }

    func testEveryRow() throws {
        for trap in try TestKVM.workingTraps() { try check(cpus: 1, trap: trap, exits: .user) }
    }

    func testFourVCPUs() throws {
        try check(cpus: 4, trap: .auto, exits: .user)
    }

    func testThoseThatKVMSettles() throws {
        try TestKVM.require(.raw)
        for cpus in [1, 4] { try check(cpus: cpus, trap: .auto, exits: .all) }
    }

    func testDevicesAreNamed() throws {
        let kept = try XCTUnwrap(run([0xe6, 0x80, 0xf4]).places)  // out 0x80, al; hlt
        XCTAssertEqual(kept.device(at: .port(0x80)), "POST codes")
        XCTAssertNil(kept.device(at: .port(0x99)))
        XCTAssertNil(kept.device(at: .page(0xb_8000)))
    }

    /// OUTs to 10,000 ports, one after the other.
    func testManyPorts() throws {
        let guest: [UInt8] = [
            0xba, 0x00, 0x10,  // mov dx, 0x1000
            0x66, 0xb9, 0x10, 0x27, 0x00, 0x00,  // mov ecx, 10000
            0xee,  // again: out dx, al
            0x42,  // inc dx
            0x66, 0x49,  // dec ecx
            0x75, 0xfa,  // jnz again
            0xf4,  // hlt
        ]
        for capacity in [100, 20_000] {
            let kept = try XCTUnwrap(run(guest, capacity: capacity).places)
            let ports = kept.places.filter { $0.exit == .minivmm(.portOut) }
            XCTAssertEqual(ports.count, min(capacity, 10_000))
            XCTAssertEqual(ports.reduce(0) { $0 + $1.exits }, UInt64(ports.count))
            // The halt finds no room either.
            XCTAssertEqual(kept.lostExits, capacity == 100 ? 10_000 - 100 + 1 : 0)
        }
    }

    func testNothingIsKeptUnlessAskedFor() throws {
        XCTAssertNil(try GuestRun([0xf4]).outcome.places)
    }
}
