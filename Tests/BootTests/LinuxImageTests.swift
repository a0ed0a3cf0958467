@testable import Boot
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class LinuxImageTests: XCTestCase {
    private static let memorySize: UInt64 = 128 << 20

    private func memory(_ size: UInt64 = memorySize) throws -> GuestMemory {
        try GuestMemory(layout: BootLayout.regions(memorySize: size))
    }

    private func initrd(_ size: Int) -> ImageFile {
        ImageFile(path: "initrd", bytes: [UInt8](repeating: 0x5a, count: size))
    }

    private func error(
        _ sample: SampleBzImage,
        _ arguments: BootArguments = BootArguments(),
        memorySize: UInt64 = memorySize
    ) throws -> ImageError? {
        let memory = try memory(memorySize)
        do {
            _ = try LinuxImage(sample.file).load(into: memory, arguments: arguments)
            return nil
        } catch {
            return error
        }
    }

    private func parameter<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type,
        _ offset: UInt64,
        _ memory: GuestMemory
    ) throws -> Value {
        try memory.load(type, at: GuestPhysicalAddress(0x7000 + offset))
    }

    func testARelocatableKernelGoesWhereItWants() throws {
        let memory = try memory()
        let sample = SampleBzImage()
        let loaded = try LinuxImage(sample.file).load(into: memory, arguments: BootArguments())
        XCTAssertEqual(loaded.image, GuestPhysicalAddress(0x100_0000)..<GuestPhysicalAddress(0x120_0000))
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100_0000), count: 0x1000), sample.payload)
        XCTAssertEqual(loaded.entry.rip, 0x100_0200)
        XCTAssertEqual(loaded.entry.rsi, 0x7000)
        XCTAssertEqual(loaded.entry.mode, .long)
        XCTAssertNil(loaded.initrd)
    }

    func testTheAlignmentRoundsUp() throws {
        let sample = SampleBzImage(alignment: 0x40_0000, preferredAddress: 0x100_1000)
        let loaded = try LinuxImage(sample.file).load(into: memory(), arguments: BootArguments())
        XCTAssertEqual(loaded.image, GuestPhysicalAddress(0x140_0000)..<GuestPhysicalAddress(0x160_0000))
    }

    func testAKernelWithoutAWishGoesTo1MiB() throws {
        let sample = SampleBzImage(alignment: 0x1000, preferredAddress: 0)
        let loaded = try LinuxImage(sample.file).load(into: memory(), arguments: BootArguments())
        XCTAssertEqual(loaded.image, GuestPhysicalAddress(0x10_0000)..<GuestPhysicalAddress(0x30_0000))
    }

    func testAFixedKernelIsPutAt1MiBAndKeepsRoomWhereItRuns() throws {
        let sample = SampleBzImage(isRelocatable: 0, alignment: 3, preferredAddress: 0x200_0000)
        let loaded = try LinuxImage(sample.file).load(into: memory(), arguments: BootArguments())
        XCTAssertEqual(loaded.image, GuestPhysicalAddress(0x10_0000)..<GuestPhysicalAddress(0x220_0000))
        XCTAssertEqual(loaded.entry.rip, 0x10_0200)
    }

    func testSetupSectorsOf0AreFour() throws {
        let memory = try memory()
        let sample = SampleBzImage(setupSectors: 0)
        _ = try LinuxImage(sample.file).load(into: memory, arguments: BootArguments())
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x100_0000), count: 0x1000), sample.payload)
    }

    func testBootParameters() throws {
        let memory = try memory()
        let arguments = BootArguments(
            commandLine: "console=ttyS0", initrd: initrd(5000), acpiRootPointer: BootLayout.acpiTables)
        let sample = SampleBzImage()
        let loaded = try LinuxImage(sample.file).load(into: memory, arguments: arguments)

        // The header is copied from 0x1F1 to its stated end, 0x26C, and not further.
        XCTAssertEqual(try parameter(UInt8.self, 0x1f1, memory), 2)
        XCTAssertEqual(try parameter(UInt16.self, 0x1fe, memory), 0xaa55)
        XCTAssertEqual(try parameter(UInt32.self, 0x202, memory), 0x5372_6448)
        XCTAssertEqual(try parameter(UInt16.self, 0x206, memory), 0x020f)
        XCTAssertEqual(try parameter(UInt32.self, 0x238, memory), 2047)
        XCTAssertEqual(try parameter(UInt64.self, 0x258, memory), 0x100_0000)
        XCTAssertEqual(try parameter(UInt32.self, 0x260, memory), 0x20_0000)
        XCTAssertEqual(try parameter(UInt32.self, 0x26c, memory), 0)
        // What the boot loader fills in.
        XCTAssertEqual(try parameter(UInt8.self, 0x210, memory), 0xff)
        XCTAssertEqual(try parameter(UInt32.self, 0x214, memory), 0x100_0000)
        XCTAssertEqual(try parameter(UInt32.self, 0x218, memory), 0x800_0000 - 0x2000)
        XCTAssertEqual(try parameter(UInt32.self, 0x21c, memory), 5000)
        XCTAssertEqual(try parameter(UInt32.self, 0x228, memory), 0x2_0000)
        XCTAssertEqual(try parameter(UInt64.self, 0x250, memory), 0)
        XCTAssertEqual(try parameter(UInt64.self, 0x070, memory), 0xe_0000)
        XCTAssertEqual(try parameter(UInt32.self, 0x0c0, memory), 0)
        XCTAssertEqual(try parameter(UInt32.self, 0x0c4, memory), 0)
        XCTAssertEqual(try parameter(UInt32.self, 0x0c8, memory), 0)
        // The sentinel: anything but 0 would make the kernel clear fields.
        XCTAssertEqual(try parameter(UInt8.self, 0x1ef, memory), 0)
        // e820.
        XCTAssertEqual(try parameter(UInt8.self, 0x1e8, memory), 4)
        XCTAssertEqual(try parameter(UInt64.self, 0x2d0, memory), 0)
        XCTAssertEqual(try parameter(UInt64.self, 0x2d8, memory), 0x9_fc00)
        XCTAssertEqual(try parameter(UInt32.self, 0x2e0, memory), 1)
        XCTAssertEqual(try parameter(UInt64.self, 0x30c, memory), 0x10_0000)
        XCTAssertEqual(try parameter(UInt64.self, 0x314, memory), 0x7f0_0000)
        XCTAssertEqual(try parameter(UInt32.self, 0x31c, memory), 1)
        XCTAssertEqual(try parameter(UInt64.self, 0x320, memory), 0)

        XCTAssertEqual(try memory.bytes(at: BootLayout.commandLine, count: 14), Array("console=ttyS0".utf8) + [0])
        XCTAssertEqual(loaded.initrd, GuestPhysicalAddress(0x7ff_e000)..<GuestPhysicalAddress(0x7ff_f388))
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x7ff_e000), count: 5000), initrd(5000).bytes)
    }

    func testAnInitrdAbove4GiBHasItsHighHalvesInTheExtendedFields() throws {
        // The kernel's runtime size leaves no room for the initrd below 3 GiB.
        let sample = SampleBzImage(runtimeSize: 0xbf00_0000 - 0x1000, maximumInitrdAddress: 0x7fff_ffff)
        let memory = try memory(5 << 30)
        let loaded = try LinuxImage(sample.file).load(into: memory, arguments: BootArguments(initrd: initrd(0x2000)))
        XCTAssertEqual(loaded.initrd?.lowerBound, GuestPhysicalAddress(0x1_7fff_e000))
        XCTAssertEqual(try parameter(UInt32.self, 0x218, memory), 0x7fff_e000)
        XCTAssertEqual(try parameter(UInt32.self, 0x0c0, memory), 1)
        XCTAssertEqual(try parameter(UInt32.self, 0x0c4, memory), 0)
        XCTAssertEqual(try parameter(UInt8.self, 0x1e8, memory), 5)
        XCTAssertEqual(try parameter(UInt64.self, 0x320, memory), 0x1_0000_0000)
        XCTAssertEqual(try parameter(UInt64.self, 0x328, memory), 0x8000_0000)
    }

    func testAnInitrdWithoutRoomIsAnError() throws {
        // 16 MiB + 2 MiB of kernel, and 1 page that is left.
        let arguments = BootArguments(initrd: initrd(0x1001))
        XCTAssertEqual(
            try error(SampleBzImage(), arguments, memorySize: 0x120_1000),
            .needsMoreMemory(
                path: "initrd", upTo: GuestPhysicalAddress(0x120_1001), end: GuestPhysicalAddress(0x120_1000)))
        XCTAssertNil(try error(SampleBzImage(), arguments, memorySize: 0x120_2000))
    }

    func testTheHeaderLimitsTheCommandLine() throws {
        let longest = BootArguments(commandLine: String(repeating: "x", count: 2047))
        XCTAssertNil(try error(SampleBzImage(), longest))
        let tooLong = BootArguments(commandLine: String(repeating: "x", count: 2048))
        XCTAssertEqual(try error(SampleBzImage(), tooLong), .commandLineTooLong(size: 2048, limit: 2047))
        // And the layout, whatever the header says.
        let boundless = SampleBzImage(commandLineSize: .max)
        XCTAssertNil(try error(boundless, BootArguments(commandLine: String(repeating: "x", count: 0xffff))))
        XCTAssertEqual(
            try error(boundless, BootArguments(commandLine: String(repeating: "x", count: 0x1_0000))),
            .commandLineTooLong(size: 0x1_0000, limit: 0xffff))
        XCTAssertEqual(try error(SampleBzImage(), BootArguments(commandLine: "a\0b")), .commandLineHasZero)
    }

    func testKernelsThatAreTooOldOr32Bit() throws {
        let old = try XCTUnwrap(error(SampleBzImage(version: 0x0208)))
        XCTAssertEqual(
            old.explanation,
            "bzImage is a bzImage kernel, but it uses version 2.08 of the boot protocol, and MiniVMM needs 2.12 or later."
        )
        XCTAssertEqual(old.exitStatus, .imageNotAcceptable)
        for sample in [SampleBzImage(loadFlags: 0), SampleBzImage(extendedLoadFlags: 0)] {
            guard case .notBootable = try error(sample) else { return XCTFail("booted") }
        }
    }

    func testDamagedKernels() throws {
        var cut = SampleBzImage().file.bytes
        cut.removeLast(1)
        for sample in [SampleBzImage(paragraphs: 0x101), SampleBzImage(alignment: 3), SampleBzImage(alignment: 0)] {
            guard case .damaged = try error(sample) else { return XCTFail("booted") }
        }
        for bytes in [cut, Array(cut[..<0x206]), Array(cut[..<0x400]), Array(cut[..<0x800])] {
            XCTAssertThrowsError(try LinuxImage(ImageFile(path: "cut", bytes: bytes))) { error in
                guard case .damaged? = error as? ImageError else { return XCTFail("\(error)") }
            }
        }
        guard case .damaged = try error(SampleBzImage(preferredAddress: .max)) else { return XCTFail("booted") }
    }

    func testAKernelLargerThanMemoryIsAnError() throws {
        XCTAssertEqual(
            try error(SampleBzImage(), memorySize: 16 << 20),
            .needsMoreMemory(
                path: "bzImage", upTo: GuestPhysicalAddress(0x120_0000), end: GuestPhysicalAddress(0x100_0000)))
    }
}
