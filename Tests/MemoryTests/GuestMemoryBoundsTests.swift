@testable import TestSupport
import XCTest

@testable import Memory

/// Accesses at the edges of regions: of two that touch, of one alone, and of one at the end of the address space.
final class GuestMemoryBoundsTests: XCTestCase {
    private static let layout: [(start: GuestPhysicalAddress, size: UInt64)] = [
        (GuestPhysicalAddress(0x1000), 0x2000), (GuestPhysicalAddress(0x3000), 0x1000),
        (GuestPhysicalAddress(0x10000), 0x1000), (GuestPhysicalAddress(0xffff_ffff_ffff_e000), 0x1000),
    ]

    /// The bytes before and after regions, as far as no other region touches them, and the ends of all addresses.
    private static let withoutMemory: [UInt64] = [
        0, 0xfff, 0x4000, 0xffff, 0x11000, 0xffff_ffff_ffff_dfff, 0xffff_ffff_ffff_f000, .max - 1, .max,
    ]

    private func assertOutOfBounds(
        _ address: UInt64, _ count: UInt64, line: UInt = #line, _ body: (GuestPhysicalAddress) throws -> Void
    ) {
        let expected = GuestMemoryError.outOfBounds(address: GuestPhysicalAddress(address), byteCount: count)
        XCTAssertThrowsError(try body(GuestPhysicalAddress(address)), line: line) {
            XCTAssertEqual($0 as? GuestMemoryError, expected, line: line)
        }
    }

    /// Loads and stores of one width: at the first and last place where they fit, and where they do not.
    private func checkWidth<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) throws {
        let memory = try GuestMemory(layout: Self.layout)
        let size = UInt64(MemoryLayout<Value>.size)
        for (start, length) in Self.layout {
            let last = start &+ (length - size)
            for address in [start, last] {
                try memory.store(Value.max - 1, at: address)
                XCTAssertEqual(try memory.load(type, at: address), Value.max - 1, "\(type) at \(address)")
            }
            for beyond in 1..<size {
                assertOutOfBounds((last &+ beyond).rawValue, size) { _ = try memory.load(type, at: $0) }
                assertOutOfBounds((last &+ beyond).rawValue, size) { try memory.store(Value.max, at: $0) }
            }
            XCTAssertEqual(try memory.load(type, at: last), Value.max - 1, "what fails writes nothing")
        }
        for address in Self.withoutMemory + [0x1000 - size, 0 &- size] {
            assertOutOfBounds(address, size) { _ = try memory.load(type, at: $0) }
            assertOutOfBounds(address, size) { try memory.store(Value.max, at: $0) }
        }
    }

    func testLoadAndStore() throws {
        try checkWidth(UInt8.self)
        try checkWidth(UInt16.self)
        try checkWidth(UInt32.self)
        try checkWidth(UInt64.self)
    }

    func testLittleEndianAndUnaligned() throws {
        let memory = try GuestMemory(layout: Self.layout)
        try memory.store(UInt64(0x8877_6655_4433_2211), at: GuestPhysicalAddress(0x1ffd))
        XCTAssertEqual(
            try memory.bytes(at: GuestPhysicalAddress(0x1ffc), count: 10),
            [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0])
        XCTAssertEqual(try memory.load(UInt16.self, at: GuestPhysicalAddress(0x1fff)), 0x4433)
        XCTAssertEqual(try memory.load(UInt32.self, at: GuestPhysicalAddress(0x2001)), 0x8877_6655)
    }

    func testWriteAndBytes() throws {
        let memory = try GuestMemory(layout: Self.layout)
        for (start, length) in Self.layout {
            let all = (0..<length).map { UInt8(truncatingIfNeeded: $0 >> 4) }
            try memory.write(all, at: start)
            XCTAssertEqual(try memory.bytes(at: start, count: Int(length)), all)
            for count in [1, 2, Int(length)] {
                let beyond = (start &+ length &- UInt64(count - 1)).rawValue
                guard count > 1 || beyond != 0x3000 else { continue }
                let other = [UInt8](repeating: 0xee, count: count)
                assertOutOfBounds(beyond, UInt64(count)) { try memory.write(other, at: $0) }
                assertOutOfBounds(beyond, UInt64(count)) { _ = try memory.bytes(at: $0, count: count) }
            }
            assertOutOfBounds(start.rawValue, length + 1) { _ = try memory.bytes(at: $0, count: Int(length) + 1) }
            XCTAssertEqual(try memory.bytes(at: start, count: Int(length)), all, "what fails writes nothing")
        }
        for address in Self.withoutMemory {
            assertOutOfBounds(address, 1) { try memory.write([1], at: $0) }
            assertOutOfBounds(address, 1) { _ = try memory.bytes(at: $0, count: 1) }
        }
        assertOutOfBounds(0x1000, UInt64(Int.max)) { _ = try memory.bytes(at: $0, count: .max) }
        assertOutOfBounds(.max, UInt64(Int.max)) { _ = try memory.bytes(at: $0, count: .max) }
    }

    /// Nothing can be written to and read from anywhere, memory or not.
    func testNoBytesAtAll() throws {
        let memory = try GuestMemory(layout: Self.layout)
        for address in (Self.withoutMemory + [0x1000, 0x2fff]).map(GuestPhysicalAddress.init(_:)) {
            XCTAssertNoThrow(try memory.write([], at: address))
            XCTAssertEqual(try memory.bytes(at: address, count: 0), [])
            XCTAssertEqual(try memory.bytes(at: address, count: -1), [])
        }
    }

    func testASliceIsWrittenFromItsOwnStart() throws {
        let memory = try GuestMemory(layout: Self.layout)
        let bytes: [UInt8] = [1, 2, 3, 4, 5]
        try memory.write(bytes[2..<4], at: GuestPhysicalAddress(0x3ffe))
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x3ffd), count: 3), [0, 3, 4])
        assertOutOfBounds(0x3fff, 2) { try memory.write(bytes[2..<4], at: $0) }
    }

    func testContains() throws {
        let memory = try GuestMemory(layout: Self.layout)
        for (start, length) in Self.layout {
            XCTAssertTrue(memory.contains(start, byteCount: length))
            XCTAssertTrue(memory.contains(start &+ (length - 1), byteCount: 1))
            XCTAssertTrue(memory.contains(start &+ (length - 1), byteCount: 0))
            XCTAssertFalse(memory.contains(start, byteCount: length + 1))
            XCTAssertFalse(memory.contains(start &+ (length - 1), byteCount: 2))
            // Sums with these pass 2^64, or just reach it.
            for count in [.max, .max - start.rawValue, 0 &- start.rawValue] {
                XCTAssertFalse(memory.contains(start, byteCount: count))
                XCTAssertFalse(memory.contains(start &+ 1, byteCount: count))
            }
        }
        for address in Self.withoutMemory.map(GuestPhysicalAddress.init(_:)) {
            for count: UInt64 in [0, 1, .max] { XCTAssertFalse(memory.contains(address, byteCount: count)) }
        }
    }
}
