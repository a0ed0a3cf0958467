import CKVM
import Memory
@testable import TestSupport
import XCTest

@testable import KVM

/// Run pages as no guest of a few bytes makes them, and as no sound kernel does: written by the test into that of a
/// vCPU that never runs.
final class ExitDecodingTests: XCTestCase {
    /// Where the part of the run page that depends on the reason starts. Source: include/uapi/linux/kvm.h.
    private static let payload = 32
    /// An offset into the run page behind `struct kvm_run`, where KVM itself has the items of port accesses.
    private static let itemOffset: UInt64 = 4096

    /// Keeps the run pages that exits point into until a test ends.
    private var vcpus: [VCPU] = []

    override func tearDown() { vcpus = [] }

    private func makeVCPU() throws -> VCPU {
        let vcpu = try RealModeGuest([]).vcpu
        vcpus.append(vcpu)
        return vcpu
    }

    /// Writes a number into the run page.
    private func put<Value: BitwiseCopyable>(_ value: Value, _ offset: Int, _ vcpu: VCPU) {
        // Sound: tests write inside the run page, which is longer than `struct kvm_run`.
        UnsafeMutableRawPointer(vcpu.runPage).storeBytes(of: value, toByteOffset: offset, as: Value.self)
    }

    /// An exit with a reason and numbers of 64 bits.
    private func words(_ reason: Int32, _ payload: [UInt64], _ vcpu: VCPU) -> String {
        vcpu.runPage.pointee.exit_reason = UInt32(bitPattern: reason)
        for (index, value) in payload.enumerated() { put(value, Self.payload + 8 * index, vcpu) }
        return RealModeGuest.words(Exit(of: vcpu))
    }

    /// A port access as KVM describes it.
    private func portExit(
        isOut: Bool, size: UInt8, port: UInt16 = 0x3f8, count: UInt32, offset: UInt64 = itemOffset, _ vcpu: VCPU
    ) -> Exit {
        vcpu.runPage.pointee.exit_reason = UInt32(KVM_EXIT_IO)
        put(UInt8(isOut ? 1 : 0), Self.payload, vcpu)
        put(size, Self.payload + 1, vcpu)
        put(port, Self.payload + 2, vcpu)
        put(count, Self.payload + 4, vcpu)
        put(offset, Self.payload + 8, vcpu)
        return Exit(of: vcpu)
    }

    private func mmioExit(address: UInt64, _ data: UInt64, size: UInt32, isWrite: Bool, _ vcpu: VCPU) -> Exit {
        vcpu.runPage.pointee.exit_reason = UInt32(KVM_EXIT_MMIO)
        put(address, Self.payload, vcpu)
        put(data, Self.payload + 8, vcpu)
        put(size, Self.payload + 16, vcpu)
        put(UInt8(isWrite ? 1 : 0), Self.payload + 20, vcpu)
        return Exit(of: vcpu)
    }

    func testSeveralItems() throws {
        let vcpu = try makeVCPU()
        put(0x8877_6655_4433_2211 as UInt64, Int(Self.itemOffset), vcpu)
        let cases: [(UInt8, UInt32, String)] = [
            (1, 3, "out 3f8 byte 11 22 33"), (2, 3, "out 3f8 word 2211 4433 6655"),
            (4, 2, "out 3f8 long 44332211 88776655"),
        ]
        for (size, count, text) in cases {
            XCTAssertEqual(RealModeGuest.words(portExit(isOut: true, size: size, count: count, vcpu)), text)
        }
        XCTAssertEqual(
            RealModeGuest.words(portExit(isOut: false, size: 2, port: 0xffff, count: 7, vcpu)), "in ffff word 7")
    }

    /// An answer fills its item, and touches no other.
    func testAnswersOfSeveralItems() throws {
        let vcpu = try makeVCPU()
        let expected: [UInt8: UInt64] = [
            1: 0xffff_ffff_ffff_5aff, 2: 0xffff_ffff_3c5a_ffff, 4: 0x789a_3c5a_ffff_ffff,
        ]
        for (size, after) in expected {
            put(UInt64.max, Int(Self.itemOffset), vcpu)
            guard case .portIn(let access) = portExit(isOut: false, size: size, count: 2, vcpu) else {
                return XCTFail("no access of \(size) bytes")
            }
            access.setItem(1, 0x789a_3c5a)
            XCTAssertEqual(access.data.loadUnaligned(as: UInt64.self), after)
        }
    }

    /// Numbers of which no pointer may be made.
    func testMalformedPortAccesses() throws {
        let vcpu = try makeVCPU()
        let malformed = "other(reason: 2)"
        for size: UInt8 in [0, 3, 8, 16, 255] {
            XCTAssertEqual(RealModeGuest.words(portExit(isOut: true, size: size, count: 1, vcpu)), malformed)
        }
        XCTAssertEqual(RealModeGuest.words(portExit(isOut: true, size: 1, count: 0, vcpu)), malformed)
        let end = UInt64(vcpu.runPageSize)
        let outside: [(UInt8, UInt32, UInt64)] = [
            (1, 1, end), (1, 2, end - 1), (4, 1, end - 3), (2, 3, end - 5), (1, 1, end + 1), (1, 1, .max),
            (4, .max, Self.itemOffset), (1, UInt32(end) + 1, 0), (1, 1, 0 &- 16), (1, 1, 1 << 40),
        ]
        for (size, count, offset) in outside {
            let exit = portExit(isOut: false, size: size, count: count, offset: offset, vcpu)
            XCTAssertEqual(RealModeGuest.words(exit), malformed, "\(count) of \(size) at \(offset)")
        }
    }

    func testPortAccessesAtTheEndOfTheRunPage() throws {
        let vcpu = try makeVCPU()
        let end = UInt64(vcpu.runPageSize)
        for (size, count): (UInt8, UInt32) in [(1, 1), (2, 1), (4, 1), (2, 3), (1, UInt32(end - 64))] {
            let offset = end - UInt64(size) * UInt64(count)
            let exit = portExit(isOut: false, size: size, count: count, offset: offset, vcpu)
            XCTAssertTrue(RealModeGuest.words(exit).hasPrefix("in 3f8 "), "\(count) of \(size)")
        }
    }

    /// The short way says what the long one says, and leaves to that all but one byte in its place.
    func testPortByte() throws {
        let vcpu = try makeVCPU()
        let end = UInt64(vcpu.runPageSize)
        for isOut in [false, true] {
            for offset in [Self.itemOffset, end - 1] {
                _ = portExit(isOut: isOut, size: 1, port: 0xfffe, count: 1, offset: offset, vcpu)
                put(0x5a as UInt8, Int(offset), vcpu)
                let io = try XCTUnwrap(Exit.portByte(of: vcpu))
                XCTAssertEqual(io.isOut, isOut)
                XCTAssertEqual(io.access.port, 0xfffe)
                XCTAssertTrue(io.access.isByte)
                XCTAssertEqual(io.access.byte, 0x5a)
            }
            let others: [(UInt8, UInt32, UInt64)] = [
                (2, 1, Self.itemOffset), (1, 2, Self.itemOffset), (1, 0, Self.itemOffset), (0, 1, Self.itemOffset),
                (1, 1 << 16 + 1, Self.itemOffset), (1, 1, end), (1, 1, .max), (1, 1, 0 &- 16),
            ]
            for (size, count, offset) in others {
                _ = portExit(isOut: isOut, size: size, count: count, offset: offset, vcpu)
                XCTAssertNil(Exit.portByte(of: vcpu), "\(count) of \(size) at \(offset)")
            }
            _ = portExit(isOut: isOut, size: 1, count: 1, vcpu)
            for reason in 0...UInt32(50) where reason != UInt32(KVM_EXIT_IO) {
                vcpu.runPage.pointee.exit_reason = reason
                XCTAssertNil(Exit.portByte(of: vcpu), "reason \(reason)")
            }
        }
    }

    func testMMIO() throws {
        let vcpu = try makeVCPU()
        let data: UInt64 = 0x8877_6655_4433_2211
        for size: UInt32 in 1...8 {
            let value = String(data & (.max >> UInt64(64 - 8 * size)), radix: 16)
            let write = mmioExit(address: 0xffff_ffff_ffff_fff8, data, size: size, isWrite: true, vcpu)
            XCTAssertEqual(RealModeGuest.words(write), "write 0xfffffffffffffff8 \(size) \(value)")
            let read = mmioExit(address: 0, data, size: size, isWrite: false, vcpu)
            guard case .mmioRead(let access) = read else { return XCTFail("no read of \(size) bytes") }
            XCTAssertEqual(access.width, AccessWidth(rawValue: Int(size)))
            access.setValue(0x0123_4567_89ab_cdef)
            XCTAssertEqual(access.data.loadUnaligned(as: UInt64.self), 0x0123_4567_89ab_cdef)
        }
        for size: UInt32 in [0, 9, .max] {
            let exit = mmioExit(address: 0, 0, size: size, isWrite: true, vcpu)
            XCTAssertEqual(RealModeGuest.words(exit), "other(reason: 6)")
        }
    }

    /// The numbers are those of include/uapi/linux/kvm.h.
    func testReasonsWithoutNumbers() throws {
        let reasons: [(Int32, String)] = [
            (5, "hlt"), (7, "irqWindowOpen"), (8, "shutdown"), (10, "interrupted"), (11, "setTPR"), (12, "tprAccess"),
            (16, "nmi"), (26, "ioapicEOI"), (27, "hyperV"), (31, "dirtyRingFull"), (32, "apResetHold"), (33, "busLock"),
            (34, "xen"), (37, "notify"), (39, "memoryFault"), (40, "tdx"), (13, "other(reason: 13)"),
            (38, "other(reason: 38)"), (999, "other(reason: 999)"), (-1, "other(reason: 4294967295)"),
        ]
        let vcpu = try makeVCPU()
        for (reason, text) in reasons { XCTAssertEqual(words(reason, [], vcpu), text) }
    }

    func testReasonsWithNumbers() throws {
        let vcpu = try makeVCPU()
        XCTAssertEqual(words(0, [0x1234], vcpu), "unknown(hardwareReason: 4660)")
        XCTAssertEqual(words(1, [0xffff_ffff_0000_000e], vcpu), "exception(vector: 14)")
        XCTAssertEqual(words(3, [42], vcpu), "hypercall(number: 42)")
        // struct kvm_debug_exit_arch: exception, pad, pc, dr6, dr7.
        XCTAssertEqual(words(4, [1, 0x7c00, 0x4000, 0x400], vcpu), "debug(pc: 31744, dr6: 16384)")
        XCTAssertEqual(words(9, [0x8000_0021, 5], vcpu), "failEntry(hardwareReason: 2147483681)")
        XCTAssertEqual(words(17, [0xffff_ffff_0000_0003], vcpu), "internalError(suberror: 3)")
        XCTAssertEqual(words(24, [0xffff_ffff_0000_0002], vcpu), "systemEvent(type: 2)")
        // Error and padding; reason and index; data.
        XCTAssertEqual(words(29, [0, 0x140 << 32 | 2, 7], vcpu), "rdmsr(index: 320)")
        XCTAssertEqual(words(30, [0, 0x140 << 32 | 2, 7], vcpu), "wrmsr(index: 320, value: 7)")
    }
}
