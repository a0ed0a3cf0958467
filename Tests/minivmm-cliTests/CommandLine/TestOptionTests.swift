@testable import Boot
@testable import TestSupport
import XCTest

/// --test-device and --exit-style, and what test programs find without them.
final class TestOptionTests: KVMTestCase {
    private func run(_ code: [UInt8], _ options: [String]) throws -> CommandLineRun {
        let file = try makeFolder().file("kernel", SampleMultiboot(code: code).bytes)
        return try CommandLineRun(["run", file, "--stats", "none"] + options)
    }

    func testExitStyles() throws {
        try TestBed.skipWhereEmulated()
        for (written, status) in [(0, 1), (1, 3), (77, 155), (127, 255), (255, 255)] as [(UInt8, Int32)] {
            try run(TinyGuest.exit(with: written), ["--exit-style", "qemu"]).assertStatus(status)
            try run(TinyGuest.exit(with: written), ["--exit-style", "plain"]).assertStatus(Int32(written))
        }
        // HLT; UD2 without handlers; JMP to itself.
        try run([0xf4], ["--exit-style", "qemu"]).assertStatus(0)
        try run([0x0f, 0x0b], ["--exit-style", "qemu"]).assertStatus(2)
        try run([0xeb, 0xfe], ["--exit-style", "qemu", "--timeout", "0.5"]).assertStatus(124)
        try run([0xf4], ["--exit-style", "else"]).assertStatus(64)
    }

    /// A byte of the memory whose accesses are exits, one of the latch, and a page that KVM maps anew.
    private static let asks: [UInt8] = [
        0xb0, 0x5a,  // mov al, 0x5a
        0xa2, 0x00, 0x00, 0x00, 0xff,  // mov [0xff000000], al
        0xb0, 0x03,  // mov al, 3
        0xe6, 0xe1,  // out 0xe1, al
        0xb8, 0x00, 0x00, 0x10, 0x00,  // mov eax, 0x100000
        0xe7, 0xe4,  // out 0xe4, eax
        0xe4, 0xe1,  // in al, 0xe1
        0x02, 0x05, 0x00, 0x00, 0x00, 0xff,  // add al, [0xff000000]
        0xe6, 0xf4,  // out 0xf4, al
    ]

    func testTheTestDevice() throws {
        try run(Self.asks, ["--test-device"]).assertStatus(0x5d)
        // All ones, twice.
        try run(Self.asks, []).assertStatus(0xfe)
    }

    /// The port of a patched CPUID is none of the device's.
    func testTheTrapKeepsOutOfItsWay() throws {
        let code: [UInt8] =
            [
                0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
                0x0f, 0xa2,  // cpuid
                0x88, 0xc4,  // mov ah, al
                0xe4, 0xe0,  // in al, 0xe0
                0x00, 0xe0,  // add al, ah
                0xe6, 0xf4,  // out 0xf4, al
            ]
        // One exit, and nothing in the latch.
        try run(code, ["--test-device", "--cpuid-trap", "patch"]).assertStatus(1)
        try run(code, ["--cpuid-trap", "patch"]).assertStatus(0)
    }
}
