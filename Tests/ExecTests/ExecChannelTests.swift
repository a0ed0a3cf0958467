@testable import Counters
@testable import Devices
@testable import Exec
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class ExecChannelTests: XCTestCase {
    private static let window = GuestPhysicalAddress(0xd_0000)
    private static let inputArea = GuestPhysicalAddress(0xd_8000)
    private static let result = GuestPhysicalAddress(0xd_f000)
    private enum Register {
        static let output: UInt64 = 0
        static let error: UInt64 = 4
        static let input: UInt64 = 8
        static let status: UInt64 = 12
        static let symbols: UInt64 = 16
        static let mappings: UInt64 = 20
    }

    /// How runs were ended.
    private final class Endings: Sendable {
        let count = Atomic(0)
    }

    /// A channel with pipes for output.
    private struct Harness {
        let memory: GuestMemory
        let output: PipeEnds
        let error: PipeEnds
        let input = ExecInput(ringGuest: {}, wakeReader: {})
        let endings = Endings()

        init() throws {
            memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 0x20_0000)])
            output = try PipeEnds()
            error = try PipeEnds()
        }

        func makeChannel(_ symbols: ProgramSymbols? = nil) throws -> ExecChannel {
            let endings = endings
            return try ExecChannel(
                memory: memory,
                output: ExecOutput(descriptor: output.writer) { false },
                error: ExecOutput(descriptor: error.writer) { false },
                input: input,
                symbols: symbols,
                finish: { _ in endings.count.add(1, ordering: .relaxed) })
        }
    }

    func testSymbolsAreCollected() throws {
        let harness = try Harness()
        let symbols = ProgramSymbols()
        let channel = try harness.makeChannel(symbols)
        try harness.memory.write(Array("10 T one\n".utf8), at: Self.window)
        for count: UInt64 in [9, 9, 0] { channel.writeMMIO(Register.symbols, width: .long, value: count) }
        XCTAssertEqual(symbols.kernel, Array("10 T one\n10 T one\n".utf8))
        // No more than the window holds at a time, and no more than there is room for.
        for _ in 0..<3000 { channel.writeMMIO(Register.symbols, width: .long, value: UInt64(UInt32.max)) }
        XCTAssertEqual(symbols.kernel.count, ((1 << 26) - 18) / 0x8000 * 0x8000 + 18)
        // The mappings are apart.
        try harness.memory.write(Array("maps".utf8), at: Self.window)
        for count: UInt64 in [4, 0] { channel.writeMMIO(Register.mappings, width: .long, value: count) }
        XCTAssertEqual(symbols.mappings, Array("maps".utf8))
        for _ in 0..<100 { channel.writeMMIO(Register.mappings, width: .long, value: UInt64(UInt32.max)) }
        XCTAssertEqual(symbols.mappings.count, ((1 << 20) - 4) / 0x8000 * 0x8000 + 4)
        // Nobody asked.
        try harness.makeChannel().writeMMIO(Register.symbols, width: .long, value: 9)
    }

    func testOutputGoesToItsOwnStream() throws {
        let harness = try Harness()
        let channel = try harness.makeChannel()
        try harness.memory.store(UInt32.max, at: Self.result)
        try harness.memory.write(Array("hello\0\n".utf8), at: Self.window)
        channel.writeMMIO(Register.output, width: .long, value: 7)
        XCTAssertEqual(harness.output.available(), Array("hello\0\n".utf8))
        XCTAssertEqual(try harness.memory.load(UInt32.self, at: Self.result), 0)
        channel.writeMMIO(Register.error, width: .long, value: 4)
        XCTAssertEqual(harness.error.available(), Array("hell".utf8))
        channel.writeMMIO(Register.error, width: .long, value: 0)
        XCTAssertEqual(try harness.memory.load(UInt32.self, at: Self.result), 0)
    }

    func testNoMoreThanTheWindowIsWritten() throws {
        let harness = try Harness()
        let channel = try harness.makeChannel()
        channel.writeMMIO(Register.output, width: .long, value: UInt64(UInt32.max))
        harness.output.closeWriter()
        var count = 0
        while case let bytes = harness.output.available(), !bytes.isEmpty { count += bytes.count }
        XCTAssertEqual(count, 0x8000)
    }

    func testAReaderThatHasGone() throws {
        signal(SIGPIPE, SIG_IGN)
        let harness = try Harness()
        let channel = try harness.makeChannel()
        harness.output.closeReader()
        for _ in 0..<2 {
            channel.writeMMIO(Register.output, width: .long, value: 1)
            XCTAssertEqual(try harness.memory.load(UInt32.self, at: Self.result), UInt32(EPIPE))
        }
        channel.writeMMIO(Register.error, width: .long, value: 1)
        XCTAssertEqual(try harness.memory.load(UInt32.self, at: Self.result), 0)
        // The program dies of it, or does not: the run goes on.
        XCTAssertEqual(harness.endings.count.load(ordering: .relaxed), 0)
    }

    func testAFullDiskEndsTheRun() throws {
        let harness = try Harness()
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        let endings = harness.endings
        let output = ExecOutput(descriptor: full) { false }
        let channel = try ExecChannel(
            memory: harness.memory, output: output, error: output, input: harness.input,
            finish: { ending in
                guard case .failed(let error) = ending else { return XCTFail("\(ending)") }
                XCTAssertEqual((error as? any CommandError)?.exitStatus, .outputNotWritable)
                endings.count.add(1, ordering: .relaxed)
            })
        channel.writeMMIO(Register.output, width: .long, value: 1)
        XCTAssertEqual(endings.count.load(ordering: .relaxed), 1)
        XCTAssertEqual(try harness.memory.load(UInt32.self, at: Self.result), UInt32(ENOSPC))
    }

    func testInput() throws {
        let harness = try Harness()
        let channel = try harness.makeChannel()
        XCTAssertEqual(channel.readMMIO(Register.input, width: .long), 0)
        let bytes = SampleBzImage.pattern(count: 0x7001)
        XCTAssertEqual(harness.input.receive(bytes[...]), 0x7001)
        XCTAssertEqual(channel.readMMIO(Register.input, width: .long), 0x7000)
        XCTAssertEqual(try harness.memory.bytes(at: Self.inputArea, count: 0x7000), Array(bytes[..<0x7000]))
        XCTAssertEqual(try harness.memory.load(UInt32.self, at: Self.result), 0)
        harness.input.end()
        XCTAssertEqual(channel.readMMIO(Register.input, width: .long), 1)
        XCTAssertEqual(channel.readMMIO(Register.input, width: .long), 0xffff_ffff)
    }

    func testAccessesThatMeanNothing() throws {
        let harness = try Harness()
        let channel = try harness.makeChannel()
        harness.input.end()
        for offset in [0, 1, 4, 8, 12, 16, 0xfff] as [UInt64] {
            for width in [AccessWidth.byte, .word, .quad] {
                XCTAssertEqual(channel.readMMIO(offset, width: width), width.allOnes)
                channel.writeMMIO(offset, width: width, value: 1)
            }
        }
        harness.output.supply([42])
        XCTAssertEqual(harness.output.available(), [42])
        XCTAssertEqual(harness.endings.count.load(ordering: .relaxed), 0)
        channel.writeMMIO(Register.status, width: .long, value: 0)
        XCTAssertEqual(harness.endings.count.load(ordering: .relaxed), 1)
    }

    func testAMachineWithoutMemoryForTheWindow() throws {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 0xd_f000)])
        let output = ExecOutput(descriptor: -1) { false }
        let input = ExecInput(ringGuest: {}, wakeReader: {})
        XCTAssertThrowsError(
            try ExecChannel(memory: memory, output: output, error: output, input: input, finish: { _ in })
        ) {
            XCTAssertEqual(($0 as? ExecError)?.exitStatus, .imageNotAcceptable)
        }
    }

    func testWhatAStatusMeans() {
        func exited(_ status: UInt32) -> UInt8? {
            if case .programExited(let value) = ProgramReport.event(status) { value } else { nil }
        }
        func killed(_ status: UInt32) -> Int32? {
            if case .programKilled(let signal) = ProgramReport.event(status) { signal } else { nil }
        }
        XCTAssertEqual(exited(0), 0)
        XCTAssertEqual(exited(0xff00), 255)
        XCTAssertEqual(exited(0x0700), 7)
        XCTAssertEqual(killed(9), 9)
        XCTAssertEqual(killed(0x8b), 11)
        XCTAssertEqual(RunEnding.programExited(255).summary, "the program exited with status 255")
        XCTAssertEqual(RunEnding.programKilled(9).summary, "signal 9 killed the program in the guest")
        XCTAssertEqual(RunEnding.programKilled(11).exitStatus.rawValue, 139)
        XCTAssertEqual(RunEnding.programExited(7).exitStatus.rawValue, 7)
        for step in ExecStep.allCases {
            guard case .failed(let error) = ProgramReport.event(0x8000_0002 | step.rawValue << 16) else {
                return XCTFail("no failure")
            }
            XCTAssertEqual(error as? ExecError, .initFailed(step, .noSuchFile))
        }
        guard case .failed(let refused) = ProgramReport.event(0x8005_0008) else { return XCTFail("no failure") }
        XCTAssertEqual((refused as? any CommandError)?.exitStatus, .programNotExecutable)
        for status: UInt32 in [0x7f, 0x137f, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0x8009_0001, .max] {
            guard case .failed(let error) = ProgramReport.event(status) else { return XCTFail("\(status)") }
            XCTAssertEqual(error as? ExecError, .unknownStatus(status))
        }
    }

    /// A guest that writes anything anywhere: MiniVMM neither crashes nor holds more than it should, and memory outside
    /// the window stays as it is.
    func testAHostileGuest() throws {
        let harness = try Harness()
        let devNull = open("/dev/null", O_WRONLY)
        defer { close(devNull) }
        let sink = ExecOutput(descriptor: devNull) { false }
        let channel = try ExecChannel(
            memory: harness.memory, output: sink, error: sink, input: harness.input, finish: { _ in })
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<200_000 {
            let offset = UInt64.random(in: 0..<20, using: &generator)
            let width = AccessWidth.allCases.randomElement(using: &generator) ?? .long
            if Bool.random(using: &generator) {
                let value = generator.next() >> UInt64.random(in: 0..<64, using: &generator)
                channel.writeMMIO(offset, width: width, value: value & width.allOnes)
            } else {
                _ = channel.readMMIO(offset, width: width)
                _ = harness.input.receive([1, 2, 3])
            }
        }
        let below = try harness.memory.bytes(at: GuestPhysicalAddress(0), count: 0xd_0000)
        let above = try harness.memory.bytes(at: GuestPhysicalAddress(0xe_0000), count: 0x2_0000)
        XCTAssertTrue((below + above).allSatisfy { $0 == 0 })
    }
}
