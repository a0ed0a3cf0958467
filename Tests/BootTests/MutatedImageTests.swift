@testable import Boot
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// Damaged headers end in an error or in a load that lies in guest memory: nothing traps, and nothing is written
/// elsewhere.
final class MutatedImageTests: XCTestCase {
    private static let count = TestExtent.of(10_000, exhaustive: 10_000, total: 66_667)
    private static let lowSize: UInt64 = 4 << 20
    private static let guardSize = 4 << 10

    /// Memory with a region above 4 GiB behind it in this process, where a write past the first region's end would
    /// show.
    private func guardedMemory() throws -> GuestMemory {
        try GuestMemory(layout: [
            (start: GuestPhysicalAddress(0), size: Self.lowSize),
            (start: BootLayout.highMemory, size: UInt64(Self.guardSize)),
        ])
    }

    private func check(_ loaded: LoadedGuest, file: ImageFile, _ memory: GuestMemory, seed: Int) {
        let kernel = loaded.image
        XCTAssertLessThan(kernel.lowerBound.rawValue, kernel.upperBound.rawValue, "seed \(seed)")
        XCTAssertGreaterThanOrEqual(kernel.lowerBound.rawValue, 0x10_0000, "seed \(seed)")
        XCTAssertLessThanOrEqual(kernel.upperBound.rawValue, Self.lowSize, "seed \(seed)")
        XCTAssertTrue(kernel.contains(GuestPhysicalAddress(loaded.entry.rip)), "seed \(seed)")
        guard let initrd = loaded.initrd else { return XCTFail("no initrd, seed \(seed)") }
        XCTAssertFalse(initrd.overlaps(kernel), "seed \(seed)")
        XCTAssertEqual(try? memory.load(UInt8.self, at: initrd.lowerBound), 0x5a, "seed \(seed)")
    }

    /// Loads mutations of a file, and returns how many were loaded.
    private func load(_ original: [UInt8], mutating offsets: Range<Int>) throws -> Int {
        let memory = try guardedMemory()
        let arguments = BootArguments(commandLine: "quiet", initrd: ImageFile(path: "initrd", bytes: [0x5a]))
        var loadedCount = 0
        for seed in 0..<Self.count {
            var generator = SeededGenerator(seed: UInt64(seed))
            let bytes = Mutation.mutate(original, at: offsets, using: &generator)
            let file = ImageFile(path: "mutated", bytes: bytes)
            do {
                guard let guest = try GuestLoaders.guest(file) as? LinuxGuest else { continue }
                let loaded = try guest.kernel.load(into: memory, arguments: arguments)
                loadedCount += 1
                check(loaded, file: file, memory, seed: seed)
                try checkGuard(memory, loaded, seed: seed)
            } catch let error as ImageError {
                XCTAssertFalse(error.description.isEmpty)
            }
        }
        return loadedCount
    }

    /// The region above 4 GiB is as it was, but for an initrd that may lie in it.
    private func checkGuard(_ memory: GuestMemory, _ loaded: LoadedGuest, seed: Int) throws {
        let bytes = try memory.bytes(at: BootLayout.highMemory, count: Self.guardSize)
        var expected = [UInt8](repeating: 0, count: Self.guardSize)
        if let initrd = loaded.initrd, initrd.lowerBound >= BootLayout.highMemory {
            expected[Int(initrd.lowerBound.rawValue - BootLayout.highMemory.rawValue)] = 0x5a
            try memory.store(UInt8(0), at: initrd.lowerBound)
        }
        XCTAssertEqual(bytes, expected, "seed \(seed)")
    }

    func testMutatedBzImages() throws {
        try TestBed.skipWhereEmulated()
        let sample = SampleBzImage(
            setupSectors: 1, alignment: 0x1000, preferredAddress: 0x20_0000, runtimeSize: 0x10_0000,
            payload: SampleBzImage.pattern(count: 0x800))
        let loaded = try load(sample.bytes, mutating: 0x1f1..<0x270)
        XCTAssertGreaterThan(loaded, Self.count / 10)
        XCTAssertLessThan(loaded, Self.count * 9 / 10)
    }

    func testMutatedELFKernels() throws {
        try TestBed.skipWhereEmulated()
        let sample = SampleELF()
        let original = sample.bytes
        let headersEnd = SampleELF.headerSize + 3 * SampleELF.entryHeaderSize
        let loaded = try load(original, mutating: 0..<headersEnd)
        XCTAssertGreaterThan(loaded, Self.count / 10)
        XCTAssertLessThan(loaded, Self.count * 9 / 10)
        // The notes stand at the end.
        _ = try load(original, mutating: original.count - 48..<original.count)
    }

    func testRandomBytesAreDetectedAsSomething() throws {
        try TestBed.skipWhereEmulated()
        let starts: [[UInt8]] = [[], [0x4d, 0x5a], [0x7f, 0x45, 0x4c, 0x46, 2, 1]]
        for seed in 0..<3000 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let count = Int.random(in: 0...700, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            let start = starts[seed % starts.count]
            bytes.replaceSubrange(0..<min(start.count, count), with: start.prefix(count))
            // A header pointer that points into the file, so that what follows it is looked at as well.
            if count > 0x40 { bytes.set(UInt32(seed % 700), at: 0x3c) }
            XCTAssertFalse(ImageFormat(detecting: bytes).description.isEmpty)
            _ = try? GuestLoaders.guest(ImageFile(path: "random", bytes: bytes))
        }
    }
}
