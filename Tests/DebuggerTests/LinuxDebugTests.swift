@testable import Boot
@testable import TestSupport
import XCTest

@testable import Debugger

/// A Linux guest that a debugger of the tests' own stops: before its first instruction, while a program runs, and in the
/// kernel at a breakpoint.
final class LinuxDebugTests: ExecTestCase {
    /// RIP in a description of 64 bits.
    private static let rip = 16
    /// The vector of #PF.
    private static let pageFault: UInt64 = 14

    func testASession() throws {
        let socket = try makeFolder().path("gdb")
        // Programs that start and end, and the page faults that it takes.
        let script = "echo ready; n=0; while [ $n -lt 200 ]; do (exit 0); n=$((n + 1)); done; exit 3"
        let minivmm = try RunningProcess([
            MiniVMMExecutable.path(), "exec", "--kernel", LinuxBed.kernel().path, "--stats", "none",
            "--gdb", "unix:\(socket)", "--gdb-wait", "--append", "nokaslr", "--", "/bin/sh", "-c", script,
        ])
        let client = try RemoteClient(to: socket)
        try assertSteps(client)

        client.send("vCont;c")
        try minivmm.waitForOutput("ready")
        client.send(bytes: [3])
        XCTAssertTrue(try client.answer(to: "an interrupt").hasPrefix("T02"))
        XCTAssertTrue(try client.monitor("exits").contains("io_out"))

        let handler = try handler(of: Self.pageFault, client)
        let address = String(handler, radix: 16)
        XCTAssertTrue(address.hasPrefix("ffffffff8"), address)
        let code = try client.ask("m\(address),10")
        XCTAssertEqual(try client.ask("Z0,\(address),1"), "OK")
        for _ in 0..<3 {
            let reply = try client.ask("vCont;c")
            XCTAssertTrue(reply.hasPrefix("T05") && reply.hasSuffix("thread:1;swbreak:;"), reply)
            XCTAssertEqual(try client.register(Self.rip), handler)
            XCTAssertTrue(try client.monitor("registers").hasPrefix("vCPU 0, 64-bit mode, ring 0\n"))
            XCTAssertEqual(try client.ask("m\(address),10"), code, "the guest's own code")
            // As GDB gets over a breakpoint.
            XCTAssertEqual(try client.ask("z0,\(address),1"), "OK")
            XCTAssertTrue(try client.ask("vCont;s:1").hasPrefix("T05"))
            XCTAssertNotEqual(try client.register(Self.rip), handler)
            XCTAssertEqual(try client.ask("Z0,\(address),1"), "OK")
        }
        XCTAssertEqual(try client.ask("D"), "OK")
        try CommandLineRun(of: minivmm).assertStatus(3)
    }

    /// The kernel's first instructions, in the 64-bit mode that it is entered in.
    private func assertSteps(_ client: RemoteClient) throws {
        var places: Set<UInt64> = [try client.register(Self.rip)]
        for _ in 0..<10 {
            XCTAssertTrue(try client.ask("vCont;s:1").hasPrefix("T05"))
            places.insert(try client.register(Self.rip))
        }
        XCTAssertGreaterThan(places.count, 5)
    }

    /// Where an exception is handled, by the guest's interrupt descriptor table.
    private func handler(of vector: UInt64, _ client: RemoteClient) throws -> UInt64 {
        let registers = try client.monitor("registers")
        let line = try XCTUnwrap(registers.split(separator: "\n").first { $0.hasPrefix("idt ") }, registers)
        let word = try XCTUnwrap(line.split(separator: " ").first { $0.hasPrefix("0x") }.map(String.init), registers)
        let gate = try XCTUnwrap(UInt64(word.dropFirst(2), radix: 16), word) + vector * 16
        let (low, middle) = (try client.number(at: gate), try client.number(at: gate + 4))
        let high = try client.number(at: gate + 8)
        return UInt64(high) << 32 | UInt64(middle & 0xffff_0000) | UInt64(low & 0xffff)
    }
}
