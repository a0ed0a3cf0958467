@testable import Boot
@testable import Memory
@testable import TestSupport
import XCTest

/// What a Multiboot header comes to: where a kernel is loaded, and what it is told.
final class MultibootTests: XCTestCase {
    private func load(
        _ sample: SampleMultiboot, _ settings: GuestSettings = GuestSettings(), acpiRoot: [UInt8] = []
    ) throws -> (GuestMemory, LoadedGuest) {
        let made = try GuestLoaders.guest(sample.file, settings)
        let guest = try XCTUnwrap(made as? MultibootGuest)
        let memory = try guest.makeMemory()
        let platform = GuestPlatform(acpiRootPointer: BootLayout.acpiTables, acpiRoot: acpiRoot)
        return (memory, try guest.load(into: memory, on: platform))
    }

    private func number(_ memory: GuestMemory, _ address: UInt64) throws -> UInt32 {
        try memory.load(UInt32.self, at: GuestPhysicalAddress(address))
    }

    private func text(_ memory: GuestMemory, _ address: UInt32) throws -> String {
        let bytes = try memory.bytes(at: GuestPhysicalAddress(UInt64(address)), count: 64)
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    func testEveryFormIsLoadedAndEntered() throws {
        for version in [MultibootVersion.one, .two] {
            for form in [SampleMultiboot.Form.elf32, .elf64, .addresses] {
                for address: UInt32 in [0x10_0000, 0x8000, 0x20_0000] {
                    let sample = SampleMultiboot(
                        version: version, form: form, address: address,
                        lead: form == .addresses ? [1, 2, 3, 4, 5, 6, 7, 8] : [],
                        code: [0xf4, 0xeb, 0xfd])
                    let (memory, loaded) = try load(sample)
                    let name = "\(version) \(form) \(address)"
                    let start = GuestPhysicalAddress(UInt64(address))
                    XCTAssertEqual(try memory.bytes(at: start, count: sample.image.count), sample.image, name)
                    XCTAssertEqual(
                        loaded.image, start..<(start &+ UInt64(sample.image.count) &+ UInt64(sample.zeros)), name)
                    XCTAssertEqual(loaded.entry.rip, UInt64(sample.entry), name)
                    XCTAssertEqual(loaded.entry.mode, .protected, name)
                    XCTAssertEqual(loaded.entry.rax, version == .one ? 0x2bad_b002 : 0x36d7_6289, name)
                    XCTAssertFalse(loaded.image.contains(GuestPhysicalAddress(loaded.entry.rbx)), name)
                    XCTAssertFalse(loaded.image.contains(loaded.entry.descriptorTable.base), name)
                }
            }
        }
    }

    func testWhereAHeaderIsLookedFor() throws {
        // A header may begin at any multiple of 4, or of 8, and has to lie in the first 8 or 32 KiB.
        for (version, alignment, end, size) in [(MultibootVersion.one, 4, 8192, 12), (.two, 8, 32768, 16)] {
            let last = end - (size + alignment - 1) / alignment * alignment
            for (offset, isFound) in [
                (0, true), (alignment, true), (alignment / 2, false), (last, true), (last + alignment, false),
            ] {
                var sample = SampleMultiboot(version: version, form: .addresses, code: [0xf4])
                sample.lead = [UInt8](repeating: 0x90, count: offset)
                XCTAssertEqual(
                    MultibootHeader.find(in: sample.bytes)?.offset, isFound ? UInt64(offset) : nil,
                    "\(version) \(offset)")
            }
            // A wrong sum is none.
            var bytes = SampleMultiboot(version: version, form: .addresses).bytes
            bytes[size - 1] ^= 1
            XCTAssertNil(MultibootHeader.find(in: bytes))
            XCTAssertEqual(ImageFormat(detecting: bytes), .flat)
        }
        // In a file of another known format it is not the file's own.
        let sample = SampleMultiboot(form: .addresses, lead: Array("070701xx".utf8))
        XCTAssertNil(MultibootHeader.find(in: sample.bytes))
    }

    func testTheEntryOfAKernelThatRunsElsewhere() throws {
        for form in [SampleMultiboot.Form.elf32, .elf64] {
            let displacement: UInt64 = form == .elf32 ? 0xc000_0000 : 0xffff_ffff_8000_0000
            let sample = SampleMultiboot(form: form, displacement: displacement, code: [0xf4])
            XCTAssertEqual(try load(sample).1.entry.rip, UInt64(sample.entry))
        }
    }

    func testWhatAKernelIsTold() throws {
        let folder = try makeFolder()
        let modules = [
            GuestModule(path: try folder.file("first mod", [1, 2, 3])),
            GuestModule(path: try folder.file("second", [UInt8](repeating: 4, count: 5000)), text: "two=2"),
        ]
        var settings = GuestSettings()
        settings.memorySize = 64 << 20
        settings.initrd = try folder.file("initrd", [9])
        settings.modules = modules
        settings.commandLine = "a b"
        settings.hasScreen = true
        let (memory, loaded) = try load(SampleMultiboot(code: [0xf4]), settings)
        let info = loaded.entry.rbx
        XCTAssertEqual(try number(memory, info), 0b1_0010_0100_1101)
        XCTAssertEqual(try number(memory, info + 4), 639)
        XCTAssertEqual(try number(memory, info + 8), 63 << 10)
        XCTAssertEqual(try text(memory, number(memory, info + 16)), "kernel.flat a b")
        XCTAssertEqual(try text(memory, number(memory, info + 64)), "MiniVMM")
        XCTAssertEqual(try number(memory, info + 88), 0xb_8000)
        XCTAssertEqual(try memory.load(UInt16.self, at: GuestPhysicalAddress(info + 108)), 0x0210)

        XCTAssertEqual(try number(memory, info + 20), 3)
        let list = UInt64(try number(memory, info + 24))
        let told = try (0..<3).map { index in
            let entry = list + 16 * UInt64(index)
            return (
                try number(memory, entry), try number(memory, entry + 4),
                try text(memory, number(memory, entry + 8))
            )
        }
        // On pages behind the kernel, which ends at 0x101031.
        XCTAssertEqual(told.map(\.0), [0x10_2000, 0x10_3000, 0x10_4000])
        XCTAssertEqual(told.map(\.1), [0x10_2001, 0x10_3003, 0x10_5388])
        XCTAssertEqual(told.map(\.2), ["initrd", "first_mod", "two=2"])
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x10_3000), count: 3), [1, 2, 3])

        // Entries of 20 bytes, each behind its size.
        XCTAssertEqual(try number(memory, info + 44), 4 * 24)
        let map = UInt64(try number(memory, info + 48))
        let lines = try (0..<4).map { index in
            let entry = GuestPhysicalAddress(map + 24 * UInt64(index))
            XCTAssertEqual(try memory.load(UInt32.self, at: entry), 20)
            return try [
                memory.load(UInt64.self, at: entry &+ 4), memory.load(UInt64.self, at: entry &+ 12),
                UInt64(memory.load(UInt32.self, at: entry &+ 20)),
            ]
        }
        XCTAssertEqual(
            lines, [[0, 0x9_fc00, 1], [0x9_fc00, 0x400, 2], [0xe_0000, 0x2_0000, 2], [0x10_0000, 0x3f0_0000, 1]])
    }

    func testWhatAKernelIsToldByTags() throws {
        var settings = GuestSettings()
        settings.memorySize = 16 << 20
        settings.modules = [GuestModule(path: try makeFolder().file("mod", [1, 2, 3]), text: "m")]
        settings.hasScreen = true
        let relocatable = SampleMultiboot.words(10, 24, 0, .max, 4096, 0)
        let sample = SampleMultiboot(version: .two, tags: relocatable, code: [0xf4])
        let (memory, loaded) = try load(sample, settings, acpiRoot: [UInt8](repeating: 7, count: 36))
        let info = loaded.entry.rbx
        XCTAssertEqual(info % 8, 0)
        let end = info + UInt64(try number(memory, info))
        var tags: [UInt32: [UInt8]] = [:]
        var position = info + 8
        while position < end {
            let size = Int(try number(memory, position + 4))
            let content = try memory.bytes(at: GuestPhysicalAddress(position + 8), count: size - 8)
            tags[try number(memory, position)] = content
            position += (UInt64(size) + 7) & ~7
        }
        XCTAssertEqual(position, end)
        XCTAssertEqual(tags[0], [])
        XCTAssertEqual(tags[1], Array("kernel.flat".utf8) + [0])
        XCTAssertEqual(tags[2], Array("MiniVMM".utf8) + [0])
        XCTAssertEqual(tags[3], SampleMultiboot.words(0x10_2000, 0x10_2003) + Array("m".utf8) + [0])
        XCTAssertEqual(tags[4], SampleMultiboot.words(639, 15 << 10))
        XCTAssertEqual(tags[6].map { Array($0.prefix(32)) }, SampleMultiboot.words(24, 0, 0, 0, 0x9_fc00, 0, 1, 0))
        XCTAssertEqual(tags[6]?.count, 8 + 4 * 24)
        XCTAssertEqual(tags[8], SampleMultiboot.words(0xb_8000, 0, 160, 80, 25) + [16, 2, 0, 0])
        XCTAssertEqual(tags[15], [UInt8](repeating: 7, count: 36))
        XCTAssertEqual(tags[21], SampleMultiboot.words(0x10_0000))
    }

    /// What an ELF kernel is told of its sections: the table as it stands in the file, with an address for each that was
    /// loaded behind the modules.
    func testSectionsAreLoadedAndTold() throws {
        let symbols = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
        for (form, entrySize) in [(SampleMultiboot.Form.elf32, UInt32(40)), (.elf64, 64)] {
            for version in [MultibootVersion.one, .two] {
                let sample = SampleMultiboot(
                    version: version, form: form, code: [0xf4], sections: [[1, 2, 3], symbols])
                var settings = GuestSettings()
                settings.modules = [GuestModule(path: try makeFolder().file("mod", [9]))]
                let (memory, loaded) = try load(sample, settings)
                let name = "\(version) \(form)"
                let (told, table) = try sections(memory, loaded.entry.rbx, version)
                XCTAssertEqual(told, [4, entrySize, 3], name)
                let addresses = try (0..<4).map { index in
                    try number(memory, table + UInt64(entrySize) * UInt64(index) + (form == .elf32 ? 12 : 16))
                }
                // The kernel ends at 0x101031, and the module lies on the page behind it.
                XCTAssertEqual(addresses, [0, sample.entry, 0x10_3000, 0x10_3010], name)
                XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x10_3000), count: 4), [1, 2, 3, 0], name)
                XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x10_3010), count: 5000), symbols, name)
            }
        }
    }

    /// The count of sections, the size of a header and the number of the one with the names; and where the headers are.
    private func sections(
        _ memory: GuestMemory, _ info: UInt64, _ version: MultibootVersion
    ) throws -> ([UInt32], table: UInt64) {
        if version == .one {
            XCTAssertEqual(try number(memory, info) & 1 << 5, 1 << 5)
            let fields = try [28, 32, 40].map { try number(memory, info + $0) }
            return (fields, UInt64(try number(memory, info + 36)))
        }
        var position = info + 8
        while try number(memory, position) != 9 {
            position += (UInt64(try number(memory, position + 4)) + 7) & ~7
            guard position < info + 4096 else { return ([], 0) }
        }
        return (try [8, 12, 16].map { try number(memory, position + $0) }, position + 20)
    }

    func testSectionsThatAreNotTold() throws {
        func flag(_ file: ImageFile) throws -> UInt32 {
            var settings = GuestSettings()
            settings.memorySize = 4 << 20
            let made = try GuestLoaders.guest(file, settings)
            let guest = try XCTUnwrap(made as? MultibootGuest)
            let memory = try guest.makeMemory()
            let loaded = try guest.load(into: memory, on: GuestPlatform())
            return try number(memory, loaded.entry.rbx) & 1 << 5
        }
        let sample = SampleMultiboot(code: [0xf4], sections: [[1, 2, 3]])
        XCTAssertEqual(try flag(sample.file), 1 << 5)
        // None, no room, a table outside the file, a section outside it, and a file whose header says where it goes.
        XCTAssertEqual(try flag(SampleMultiboot(code: [0xf4]).file), 0)
        let large = [UInt8](repeating: 1, count: 4 << 20)
        XCTAssertEqual(try flag(SampleMultiboot(code: [0xf4], sections: [large]).file), 0)
        let tableOffset = sample.bytes.count - 3 * 40
        for (offset, value) in [(32, UInt32(tableOffset + 1)), (tableOffset + 2 * 40 + 16, 0xffff_fff0)] {
            var bytes = sample.bytes
            bytes.set(value, at: offset)
            XCTAssertEqual(try flag(ImageFile(path: "damaged", bytes: bytes)), 0, "\(offset)")
        }
        XCTAssertEqual(try flag(SampleMultiboot(form: .addresses, code: [0xf4]).file), 0)
    }

    /// Nothing of ours lies where the kernel does, wherever in the first 640 KiB that is.
    func testNothingLiesOnTheKernel() throws {
        for address in stride(from: UInt32(0), to: 0x9_0000, by: 0x7000) {
            let sample = SampleMultiboot(form: .addresses, address: address, zeros: 0xf000, code: [0xf4])
            let (memory, loaded) = try load(sample)
            XCTAssertEqual(
                try memory.bytes(at: GuestPhysicalAddress(UInt64(address)), count: sample.image.count), sample.image)
            let zeros = GuestPhysicalAddress(UInt64(address) + UInt64(sample.image.count))
            XCTAssertTrue(try memory.bytes(at: zeros, count: 0xf000).allSatisfy { $0 == 0 }, "\(address)")
            XCTAssertFalse(loaded.image.contains(GuestPhysicalAddress(loaded.entry.rsp - 4)), "\(address)")
        }
        // One that takes all of it leaves room above 1 MiB.
        let sample = SampleMultiboot(form: .addresses, address: 0x1000, zeros: 0x9_e000, code: [0xf4])
        XCTAssertGreaterThan(try load(sample).1.entry.rbx, 0x10_0000)
    }

    func testWhatIsRefused() throws {
        func refusal(_ sample: SampleMultiboot, _ settings: GuestSettings = GuestSettings()) -> String {
            do {
                _ = try load(sample, settings)
                return ""
            } catch let error as ImageError {
                return error.explanation
            } catch {
                return "\(error)"
            }
        }
        let path = "/some/where/kernel.flat"
        XCTAssertEqual(
            refusal(SampleMultiboot(flags: 1 << 5)),
            "\(path) is a Multiboot kernel, but it asks by its Multiboot flags for what Multiboot does not define.")
        let graphics = "but it asks for a graphics mode, and MiniVMM has none."
        XCTAssertEqual(refusal(SampleMultiboot(flags: 1 << 2)), "\(path) is a Multiboot kernel, \(graphics)")
        let modes: [(UInt32, UInt32, Bool)] = [(0, 32, true), (1, 32, false), (0, 0, false)]
        for (flags, depth, isRefused) in modes {
            let tag = SampleMultiboot.words(5 | flags << 16, 20, 0, 0, depth, 0)
            XCTAssertEqual(
                refusal(SampleMultiboot(version: .two, tags: tag, code: [0xf4])),
                isRefused ? "\(path) is a Multiboot 2 kernel, \(graphics)" : "")
        }
        XCTAssertEqual(
            refusal(SampleMultiboot(version: .two, tags: SampleMultiboot.words(77, 8), code: [0xf4])),
            "\(path) is a Multiboot 2 kernel, but it asks by tag 77 for what Multiboot 2 does not define.")
        XCTAssertEqual(
            refusal(SampleMultiboot(version: .two, tags: SampleMultiboot.words(1, 16, 6, 22), code: [0xf4])),
            "\(path) is a Multiboot 2 kernel, but it asks for information of kind 22, which Multiboot 2 does not define."
        )
        XCTAssertEqual(
            refusal(SampleMultiboot(address: 0x9_f800, code: [0xf4])),
            "\(path) is a Multiboot kernel, but it wants to be loaded at 0x9f800, and from 640 KiB to 1 MiB a PC has "
                + "its screen and its firmware.")
        XCTAssertEqual(
            refusal(SampleMultiboot(address: 0x7ff_ffff, code: [0xf4])),
            "\(path) needs guest memory up to 0x8001030, and the memory that it can use ends at 0x8000000.")
        XCTAssertEqual(
            refusal(SampleMultiboot(code: [])),
            "")  // Its zeros are where it is entered.
        XCTAssertEqual(
            refusal(SampleMultiboot(zeros: 0, code: [])),
            "\(path) is a Multiboot kernel, but a damaged one: its entry, 0x100030, is in nothing that is loaded.")
        var settings = GuestSettings()
        settings.loadAddress = 0x8000
        XCTAssertThrowsError(try load(SampleMultiboot(code: [0xf4]), settings)) {
            XCTAssertEqual(($0 as? GuestSettingError)?.setting, .loadAddress)
        }
    }

    func testOtherGuestsHaveNoModules() throws {
        var settings = GuestSettings()
        settings.modules = [GuestModule(path: "x")]
        for file in [SampleELF().file, SampleBzImage().file, ImageFile(path: "flat", bytes: [0xf4])] {
            XCTAssertThrowsError(try GuestLoaders.guest(file, settings)) {
                XCTAssertEqual(($0 as? GuestSettingError)?.setting, .module)
            }
        }
    }

    /// Damaged headers end in an error, or in a load in which nothing lies on anything else.
    func testMutatedKernels() throws {
        try TestBed.skipWhereEmulated()
        var loadedCount = 0
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: 4 << 20))
        for (index, version) in [MultibootVersion.one, .two].enumerated() {
            for (position, form) in [SampleMultiboot.Form.elf32, .elf64, .addresses].enumerated() {
                let original = SampleMultiboot(
                    version: version, form: form, code: [0xf4], sections: [[1, 2, 3], [4]]
                ).bytes
                for seed in 0..<2000 {
                    var generator = SeededGenerator(seed: UInt64(seed + 10_000 * (index * 3 + position)))
                    let bytes = Mutation.mutate(original, at: 0..<original.count, using: &generator)
                    do {
                        let file = ImageFile(path: "mutated", bytes: bytes)
                        guard let guest = try GuestLoaders.guest(file) as? MultibootGuest else { continue }
                        let loaded = try guest.load(into: memory, on: GuestPlatform())
                        loadedCount += 1
                        XCTAssertTrue(loaded.image.contains(GuestPhysicalAddress(loaded.entry.rip)), "seed \(seed)")
                        XCTAssertFalse(
                            guest.image.parts.contains { ($0.address..<$0.end).contains(loaded.entry.rbx) },
                            "seed \(seed)")
                        XCTAssertLessThanOrEqual(loaded.image.upperBound.rawValue, 4 << 20, "seed \(seed)")
                    } catch let error as ImageError {
                        XCTAssertFalse(error.explanation.isEmpty)
                    }
                }
            }
        }
        XCTAssertGreaterThan(loadedCount, 1200)
        XCTAssertLessThan(loadedCount, 10_000)
    }
}
