@testable import Boot
@testable import Counters
import Glibc
@testable import Host
@testable import KVM
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM
@testable import Watch

/// What is seen of a machine that another process runs: every exit, and to whom it went. Here the watched process is the
/// test itself, whose machine's own counts are at hand.
final class WatchMachineTests: KVMTestCase {
    /// How often the guest runs CPUID, and writes to a port after each.
    private static let count: UInt16 = 1000
    private static let code: [UInt8] = [
        0xb9, UInt8(count & 0xff), UInt8(count >> 8),  // mov cx, count
        0x89, 0xcf,  // next: mov di, cx
        0x66, 0x31, 0xc0,  // xor eax, eax
        0x0f, 0xa2,  // cpuid
        0xe6, 0x80,  // out 0x80, al
        0x89, 0xf9,  // mov cx, di
        0xe2, 0xf3,  // loop next
        0xfa,  // cli
        0xf4,  // hlt
    ]

    /// What guests print goes nowhere.
    private let console = Result { try CapturedConsole() }

    /// A machine of this process that has not run yet.
    private func machine(_ guest: any Guest = FlatGuest(image: code), cpus: Int = 1) throws -> Machine {
        var options = MachineOptions()
        options.trap = .none
        options.cpuCount = cpus
        options.recording.readsKernelStatistics = true
        options.consoleDescriptor = try console.get().descriptor
        return try Machine(kvm: TestKVM.shared(), guest: guest, options: options)
    }

    /// KVM's own count of a run's exits.
    private func kernelExits(_ outcome: RunOutcome) -> UInt64 {
        outcome.kernelStatistics.reduce(0) { sum, vcpu in
            sum + (vcpu.statistics.first { $0.name == "exits" }?.value ?? 0)
        }
    }

    private func row(_ type: BasicExitReason, _ exits: KernelSettledExits) throws -> KernelSettledExits.Row {
        try XCTUnwrap(KernelSettledExits.Row.byReason(exits.rows).first { $0.reason == type })
    }

    func testRaw() throws { try check(.raw) }
    func testClassic() throws { try check(.classic) }

    private func check(_ method: ExitTracepoints.Method) throws {
        try TestKVM.require(method)
        let machine = try machine()
        let watch = try ExitWatch(WatchedProcess(getpid()), method: method)
        let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
        let look = watch.look()
        guard case .halted = outcome.ending else { return XCTFail(outcome.ending.summary) }
        let cpuid = try row(.cpuid, look.exits)
        XCTAssertEqual([cpuid.hardwareExits, cpuid.exits, cpuid.userNanoseconds], [1000, 1000, 0])
        XCTAssertEqual(cpuid.histogram.reduce(0, +), 1000)
        XCTAssertGreaterThan(cpuid.nanoseconds, 0)
        let io = try row(.ioInstruction, look.exits)
        XCTAssertEqual([io.hardwareExits, io.exits, io.passedOnExits], [1000, 0, 1000])
        XCTAssertGreaterThan(io.passedOnNanoseconds, 0)
        XCTAssertGreaterThan(io.userNanoseconds, 0)
        let passedOn = look.exits.rows.reduce(0) { $0 + $1.passedOnExits }
        XCTAssertEqual(passedOn, outcome.statistics.total.exits)
        XCTAssertEqual(look.exits.hardwareExits, kernelExits(outcome))
        XCTAssertEqual(look.lostExits, 0)
    }

    func testEachVCPUHasItsPlace() throws {
        try TestKVM.require(.raw)
        let guest = try XCTUnwrap(BuiltInGuest(named: "smp"))
        let machine = try machine(FlatGuest(image: guest.image), cpus: 3)
        let watch = try ExitWatch(WatchedProcess(getpid()), method: .raw)
        let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
        let exits = watch.look().exits
        let perVCPU = exits.vcpus.map { $0.reduce(0) { $0 + $1.hardwareExits } }
        let own = outcome.kernelStatistics.map { vcpu in vcpu.statistics.first { $0.name == "exits" }?.value ?? 0 }
        XCTAssertEqual(Array(perVCPU.prefix(3)), own)
        XCTAssertEqual(perVCPU.dropFirst(3).reduce(0, +), 0)
    }

    func testTwoMachinesShareThePlaces() throws {
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            let machines = [try machine(), try machine()]
            let process = try WatchedProcess(getpid())
            XCTAssertEqual(process.vcpus, [0])
            let watch = try ExitWatch(process, method: method)
            let outcomes = Locked<[RunOutcome]>([])
            let threads = try machines.map { machine in
                try PosixThread(name: "machine") {
                    guard let outcome = try? machine.run(timeout: .seconds(GuestRun.limit)) else { return }
                    outcomes.withLock { $0.append(outcome) }
                }
            }
            for thread in threads { thread.join() }
            let exits = watch.look().exits
            XCTAssertEqual(try row(.cpuid, exits).exits, 2000, "\(method)")
            XCTAssertEqual(
                exits.hardwareExits, outcomes.withLock { $0.reduce(0) { $0 + kernelExits($1) } }, "\(method)")
        }
    }

    func testExitsWithoutAPlaceAreLostAndCounted() throws {
        for method in ExitTracepoints.Method.allCases {
            try TestKVM.require(method)
            let machine = try machine(FlatGuest(image: XCTUnwrap(BuiltInGuest(named: "smp")).image), cpus: 2)
            let tracepoints = try ExitTracepoints(method: method, threadCount: 1, process: getpid())
            let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
            let own = outcome.kernelStatistics.map { vcpu in vcpu.statistics.first { $0.name == "exits" }?.value ?? 0 }
            XCTAssertEqual(
                [KernelSettledExits(of: tracepoints).hardwareExits, tracepoints.lostExits], own, "\(method)")
            XCTAssertGreaterThan(tracepoints.lostExits, 0)
        }
    }

    func testOtherProcessesAreNotCounted() throws {
        try TestKVM.require(.raw)
        let machine = try machine()
        let watch = try ExitWatch(WatchedProcess(getpid()), method: .raw)
        try CommandLineRun(["run", "--guest", "hello", "--stats", "none"]).assertStatus(0)
        XCTAssertEqual(watch.look().exits.hardwareExits, 0)
        withExtendedLifetime(machine) {}
    }

    /// The command, beside a process that runs a guest: what its lines and its report say, and that both agree.
    func testCommandWatchesAnotherProcess() throws {
        try TestKVM.require(.raw)
        let machine = try machine()
        let folder = try makeFolder()
        let file = folder.path("watch.json")
        let command = try RunningProcess(
            [
                MiniVMMExecutable.path(), "watch", "\(getpid())", "--interval", "0.1", "--stats", "json",
                "--stats-file", file, "--metrics", folder.path("watch.prom"), "--metrics-label", "vm=a",
            ])
        // The first line comes when the watch has begun.
        try command.waitForOutput("\n")
        let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
        try command.send(SIGINT)
        let run = try CommandLineRun(of: command)
        run.assertStatus(0)
        XCTAssertTrue(run.errors.contains("minivmm: watching process \(getpid()) ("), run.errors)

        let record = try JSONValue(folder.bytes("watch.json"))
        XCTAssertEqual(try JSONSchema(file: "watch.schema.json").problems(of: record), [])
        XCTAssertEqual(record["ending"], .string("signal"))
        XCTAssertEqual(record["total"]?["processor_exits"]?.integer, Int64(kernelExits(outcome)))
        XCTAssertEqual(record["total"]?["passed_on_exits"]?.integer, Int64(outcome.statistics.total.exits))
        let reasons = record["reasons"]?.elements ?? []
        let cpuid = try XCTUnwrap(reasons.first { $0["sdm"]?.integer == 10 })
        XCTAssertEqual(cpuid["settled_exits"]?.integer, 1000)
        XCTAssertEqual(cpuid["passed_on_exits"]?.integer, 0)

        let metrics = String(decoding: try folder.bytes("watch.prom"), as: UTF8.self)
        XCTAssertTrue(metrics.contains("\nminivmm_running{vm=\"a\"} 0\n"), metrics)
        let numbers = metrics.matches(of: #/(?m)^minivmm_exits_total{.*,where="(\w+)",vm="a"} (\d+)$/#)
        for (settler, key) in [("kvm", "settled_exits"), ("vmm", "passed_on_exits")] {
            let sum = numbers.filter { $0.1 == settler }.reduce(0) { $0 + (Int64($1.2) ?? 0) }
            XCTAssertEqual(sum, record["total"]?[key]?.integer, key)
        }

        let lines = try run.outputText.split(separator: "\n").map { try JSONValue(String($0)) }
        let schema = try JSONSchema(file: "watch-interval.schema.json")
        for line in lines { XCTAssertEqual(schema.problems(of: line), []) }
        for key in ["processor_exits", "settled_exits", "ns", "user_ns"] {
            let sum = lines.reduce(0) { $0 + ($1["total"]?[key]?.integer ?? 0) }
            XCTAssertEqual(sum, record["total"]?[key]?.integer, key)
        }
    }
}
