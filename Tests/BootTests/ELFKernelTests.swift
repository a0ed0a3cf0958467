@testable import Boot
@testable import Counters
@testable import Memory
@testable import TestSupport
import XCTest

final class ELFKernelTests: XCTestCase {
    private static let memorySize: UInt64 = 128 << 20

    private func error(
        _ sample: SampleELF,
        _ arguments: BootArguments = BootArguments(),
        memorySize: UInt64 = memorySize
    ) throws -> ImageError? {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: memorySize))
        do {
            _ = try ELFKernel(sample.file).load(into: memory, arguments: arguments)
            return nil
        } catch {
            return error
        }
    }

    func testSegmentsGoWhereTheirPhysicalAddressesSay() throws {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: Self.memorySize))
        // Segments need not come in order, and empty ones do not count.
        var sample = SampleELF()
        sample.segments.reverse()
        sample.segments.append(SampleELF.Segment(address: 0, bytes: [], memorySize: 0))
        let loaded = try ELFKernel(sample.file).load(into: memory, arguments: BootArguments())
        for segment in sample.segments {
            let address = GuestPhysicalAddress(segment.address)
            XCTAssertEqual(try memory.bytes(at: address, count: segment.bytes.count), segment.bytes)
        }
        XCTAssertEqual(try memory.load(UInt64.self, at: GuestPhysicalAddress(0x20_0300)), 0)
        XCTAssertEqual(loaded.image, GuestPhysicalAddress(0x10_0000)..<GuestPhysicalAddress(0x20_4000))
        XCTAssertEqual(loaded.entry.mode, .protected)
        XCTAssertEqual(loaded.entry.rip, 0x10_0040)
        XCTAssertEqual(loaded.entry.rbx, 0x6000)
    }

    func testAnEntryOfFourBytes() throws {
        let kernel = try ELFKernel(SampleELF(entrySize: 4).file)
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: Self.memorySize))
        XCTAssertEqual(try kernel.load(into: memory, arguments: BootArguments()).entry.rip, 0x10_0040)
    }

    func testStartInfo() throws {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: 5 << 30))
        let initrd = ImageFile(path: "initrd", bytes: [UInt8](repeating: 0x5a, count: 5000))
        let arguments = BootArguments(commandLine: "quiet", initrd: initrd, acpiRootPointer: BootLayout.acpiTables)
        let loaded = try ELFKernel(SampleELF().file).load(into: memory, arguments: arguments)
        let info = GuestPhysicalAddress(loaded.entry.rbx)

        XCTAssertEqual(try memory.load(UInt32.self, at: info), 0x336e_c578)
        XCTAssertEqual(try memory.load(UInt32.self, at: info &+ 4), 1)
        XCTAssertEqual(try memory.load(UInt32.self, at: info &+ 8), 0)
        XCTAssertEqual(try memory.load(UInt32.self, at: info &+ 12), 1)
        let modules = GuestPhysicalAddress(try memory.load(UInt64.self, at: info &+ 16))
        let commandLine = GuestPhysicalAddress(try memory.load(UInt64.self, at: info &+ 24))
        XCTAssertEqual(try memory.load(UInt64.self, at: info &+ 32), 0xe_0000)
        let map = GuestPhysicalAddress(try memory.load(UInt64.self, at: info &+ 40))
        XCTAssertEqual(try memory.load(UInt32.self, at: info &+ 48), 5)

        XCTAssertEqual(try memory.bytes(at: commandLine, count: 6), Array("quiet".utf8) + [0])
        // The initrd ends where memory below 4 GiB does.
        XCTAssertEqual(try memory.load(UInt64.self, at: modules), 0xbfff_e000)
        XCTAssertEqual(try memory.load(UInt64.self, at: modules &+ 8), 5000)
        XCTAssertEqual(try memory.load(UInt64.self, at: modules &+ 16), 0)
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0xbfff_e000), count: 5000), initrd.bytes)
        // The last line of the map.
        XCTAssertEqual(try memory.load(UInt64.self, at: map &+ 96), 0x1_0000_0000)
        XCTAssertEqual(try memory.load(UInt64.self, at: map &+ 104), 0x8000_0000)
        XCTAssertEqual(try memory.load(UInt32.self, at: map &+ 112), 1)
    }

    func testWithoutAnInitrdThereIsNoModule() throws {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: Self.memorySize))
        _ = try ELFKernel(SampleELF().file).load(into: memory, arguments: BootArguments())
        XCTAssertEqual(try memory.load(UInt32.self, at: BootLayout.startInfo &+ 12), 0)
        XCTAssertEqual(try memory.load(UInt64.self, at: BootLayout.startInfo &+ 16), 0)
    }

    func testTheCommandLineHasALimit() throws {
        let longest = BootArguments(commandLine: String(repeating: "x", count: 2047))
        XCTAssertNil(try error(SampleELF(), longest))
        let tooLong = BootArguments(commandLine: String(repeating: "x", count: 2048))
        XCTAssertEqual(try error(SampleELF(), tooLong), .commandLineTooLong(size: 2048, limit: 2047))
    }

    func testSegmentsThatCannotBe() throws {
        func sample(_ change: (inout SampleELF) -> Void) -> SampleELF {
            var sample = SampleELF()
            change(&sample)
            return sample
        }
        let damaged = [
            sample { $0.segments[1].memorySize = 0x2ff },
            sample { $0.segments[1].address = 0x10_0fff },
            sample { $0.segments[1].address = .max },
            sample { $0.segments[1].memorySize = .max },
            sample { $0.segments = [] },
            sample { $0.entry = 0x10_0800 },
            sample { $0.entry = 0xf_ffff },
        ]
        for sample in damaged {
            let error = try error(sample)
            guard case .damaged? = error else {
                XCTFail("\(String(describing: error))")
                continue
            }
        }
        let low = sample {
            $0.segments[0].address = 0xf_f000
            $0.entry = 0xf_f000
        }
        guard case .notBootable = try error(low) else { return XCTFail("loaded below 1 MiB") }
        XCTAssertEqual(
            try error(sample { $0.segments[1].address = 0x10_0000_0000 }),
            .needsMoreMemory(
                path: "vmlinux", upTo: GuestPhysicalAddress(0x10_0000_4000), end: GuestPhysicalAddress(Self.memorySize))
        )
    }

    func testAFileThatIsCutOffIsDamagedNotUnsupported() throws {
        let bytes = SampleELF().bytes
        for count in [40, 60, 100, bytes.count - 1] {
            XCTAssertThrowsError(try GuestLoaders.guest(ImageFile(path: "cut", bytes: Array(bytes[..<count])))) {
                error in
                guard case .damaged? = error as? ImageError else { return XCTFail("\(count): \(error)") }
            }
        }
    }

    func testAnotherMachineIsNamed() throws {
        XCTAssertEqual(
            try error(SampleELF(machine: 183))?.explanation,
            "vmlinux is an ELF program for ARM64, which MiniVMM does not boot.")
    }
}
