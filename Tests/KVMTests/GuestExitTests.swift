import Memory
@testable import TestSupport
import XCTest

@testable import KVM

/// What the exits of real instructions decode to.
final class GuestExitTests: XCTestCase {
    private func assertNext(_ guest: RealModeGuest, _ expected: String, line: UInt = #line) throws {
        XCTAssertEqual(RealModeGuest.words(try guest.nextExit()), expected, line: line)
    }

    /// Answers the single item of an IN.
    private func answer(_ guest: RealModeGuest, _ expected: String, _ value: UInt32, line: UInt = #line) throws {
        let exit = try guest.nextExit()
        XCTAssertEqual(RealModeGuest.words(exit), expected, line: line)
        guard case .portIn(let access) = exit else { return }
        access.setItem(0, value)
    }

    func testOut() throws {
        let guest = try RealModeGuest([
            0xb0, 0x41,  // mov al, 0x41
            0xe6, 0x10,  // out 0x10, al
            0xba, 0xfe, 0xff,  // mov dx, 0xfffe
            0xb8, 0x34, 0x12,  // mov ax, 0x1234
            0xef,  // out dx, ax
            0x66, 0xb8, 0xef, 0xcd, 0xab, 0x89,  // mov eax, 0x89abcdef
            0x66, 0xef,  // out dx, eax
            0xf4,  // hlt
        ])
        try assertNext(guest, "out 10 byte 41")
        try assertNext(guest, "out fffe word 1234")
        try assertNext(guest, "out fffe long 89abcdef")
        try assertNext(guest, "hlt")
        XCTAssertEqual(try guest.vcpu.registers().rip, RealModeGuest.codeStart.rawValue + 20, "after the HLT")
    }

    /// Each width sets that much of RAX: all bits of the answer beyond are dropped.
    func testIn() throws {
        let guest = try RealModeGuest([
            0x66, 0xb8, 0xff, 0xff, 0xff, 0xff,  // mov eax, -1
            0xe4, 0x20,  // in al, 0x20
            0x66, 0x89, 0xc3,  // mov ebx, eax
            0xba, 0x34, 0x12,  // mov dx, 0x1234
            0xed,  // in ax, dx
            0x66, 0x89, 0xc1,  // mov ecx, eax
            0x66, 0xed,  // in eax, dx
            0xf4,  // hlt
        ])
        try answer(guest, "in 20 byte 1", 0xaabb_cc5a)
        try answer(guest, "in 1234 word 1", 0xaabb_1234)
        try answer(guest, "in 1234 long 1", 0x89ab_cdef)
        try assertNext(guest, "hlt")
        let registers = try guest.vcpu.registers()
        XCTAssertEqual(registers.rbx, 0xffff_ff5a)
        XCTAssertEqual(registers.rcx, 0xffff_1234)
        XCTAssertEqual(registers.rax, 0x89ab_cdef)
    }

    /// However many items KVM puts into an exit, together they are the string.
    func testRepOuts() throws {
        let guest = try RealModeGuest([
            0xfc,  // cld
            0xbe, 0x00, 0x20,  // mov si, 0x2000
            0xb9, 0x05, 0x00,  // mov cx, 5
            0xba, 0xf8, 0x03,  // mov dx, 0x3f8
            0xf3, 0x6e,  // rep outsb
            0xb9, 0x02, 0x00,  // mov cx, 2
            0xf3, 0x66, 0x6f,  // rep outsd
            0xf4,  // hlt
        ])
        let string: [UInt8] = [1, 2, 3, 4, 5, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]
        try guest.memory.write(string, at: GuestPhysicalAddress(0x2000))
        var items: [AccessWidth: [UInt32]] = [:]
        for _ in 0..<8 {
            guard case .portOut(let access) = try guest.nextExit() else { break }
            XCTAssertEqual(access.port, 0x3f8)
            items[access.width, default: []] += (0..<access.count).map(access.item)
        }
        XCTAssertEqual(items, [.byte: [1, 2, 3, 4, 5], .long: [0x4433_2211, 0x8877_6655]])
        XCTAssertEqual(RealModeGuest.words(Exit(of: guest.vcpu)), "hlt")
        let registers = try guest.vcpu.registers()
        XCTAssertEqual(registers.rsi, 0x200d)
        XCTAssertEqual(registers.rcx, 0)
    }

    func testRepIns() throws {
        let guest = try RealModeGuest([
            0xfc,  // cld
            0xbf, 0x00, 0x30,  // mov di, 0x3000
            0xb9, 0x06, 0x00,  // mov cx, 6
            0xba, 0xf0, 0x01,  // mov dx, 0x1f0
            0xf3, 0x6d,  // rep insw
            0xf4,  // hlt
        ])
        var count: UInt32 = 0
        for _ in 0..<7 {
            guard case .portIn(let access) = try guest.nextExit() else { break }
            XCTAssertEqual(access.port, 0x1f0)
            XCTAssertEqual(access.width, .word)
            for index in 0..<access.count {
                access.setItem(index, 0xdead_a000 + count)
                count += 1
            }
        }
        XCTAssertEqual(count, 6)
        XCTAssertEqual(RealModeGuest.words(Exit(of: guest.vcpu)), "hlt")
        XCTAssertEqual(
            try guest.memory.bytes(at: GuestPhysicalAddress(0x3000), count: 14),
            [0x00, 0xa0, 0x01, 0xa0, 0x02, 0xa0, 0x03, 0xa0, 0x04, 0xa0, 0x05, 0xa0, 0, 0])
    }

    func testMMIOWrites() throws {
        let guest = try RealModeGuest([
            0xb8, 0x00, 0xa0,  // mov ax, 0xa000
            0x8e, 0xd8,  // mov ds, ax
            0xc6, 0x06, 0x10, 0x00, 0x5a,  // mov byte [0x10], 0x5a
            0xc7, 0x06, 0x21, 0x00, 0x34, 0x12,  // mov word [0x21], 0x1234
            0x66, 0xc7, 0x06, 0x30, 0x00, 0xef, 0xcd, 0xab, 0x89,  // mov dword [0x30], 0x89abcdef
            0xf4,  // hlt
        ])
        try assertNext(guest, "write 0xa0010 1 5a")
        try assertNext(guest, "write 0xa0021 2 1234")
        try assertNext(guest, "write 0xa0030 4 89abcdef")
        try assertNext(guest, "hlt")
    }

    func testMMIOReads() throws {
        let guest = try RealModeGuest([
            0xb8, 0x00, 0xa0,  // mov ax, 0xa000
            0x8e, 0xd8,  // mov ds, ax
            0xa0, 0x10, 0x00,  // mov al, [0x10]
            0x8b, 0x1e, 0x20, 0x00,  // mov bx, [0x20]
            0x66, 0x8b, 0x0e, 0x30, 0x00,  // mov ecx, [0x30]
            0xf4,  // hlt
        ])
        let expected = ["read 0xa0010 1", "read 0xa0020 2", "read 0xa0030 4"]
        for (words, value) in zip(expected, [0xffff_ff5a, 0xffff_1234, 0xffff_ffff_89ab_cdef] as [UInt64]) {
            let exit = try guest.nextExit()
            XCTAssertEqual(RealModeGuest.words(exit), words)
            if case .mmioRead(let access) = exit { access.setValue(value) }
        }
        try assertNext(guest, "hlt")
        let registers = try guest.vcpu.registers()
        XCTAssertEqual(registers.rax, 0xa05a)
        XCTAssertEqual(registers.rbx, 0x1234)
        XCTAssertEqual(registers.rcx, 0x89ab_cdef)
    }

    /// What was serviced is finished, and nothing after it is done.
    func testFinishInstruction() throws {
        let guest = try RealModeGuest([
            0xe4, 0x20,  // in al, 0x20
            0xb0, 0x00,  // mov al, 0
            0xf4,  // hlt
        ])
        try answer(guest, "in 20 byte 1", 0x5a)
        try guest.vcpu.finishInstruction()
        let registers = try guest.vcpu.registers()
        XCTAssertEqual(registers.rip, RealModeGuest.codeStart.rawValue + 2)
        XCTAssertEqual(registers.rax, 0x5a)
        try assertNext(guest, "hlt")
    }
}
