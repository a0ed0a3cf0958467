@testable import Boot
@testable import Counters
@testable import Exec
@testable import KVM
@testable import TestSupport
import XCTest

/// General-protection faults that are no CPUID are the program's own, with the fault trap on as with it off.
final class ExecFaultTests: ExecTestCase {
    /// Code that ends with a fault.
    private static let faults: [(name: String, code: [UInt8])] = [
        // mov rax, 1 << 63; mov rax, [rax]
        ("noncanonical", [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x48, 0x8b, 0x00]),
        ("cli", [0xfa]),
        ("hlt", [0xf4]),
        ("in", [0xe4, 0x80]),
        ("rdmsr", [0x0f, 0x32]),
        // mov eax, 0x50; mov ds, eax; cpuid
        ("selector", [0xb8, 0x50, 0x00, 0x00, 0x00, 0x8e, 0xd8, 0x0f, 0xa2]),
        // cpuid; hlt; cpuid
        ("between", [0x0f, 0xa2, 0xf4, 0x0f, 0xa2]),
    ]

    /// Switches CPUID faulting on for itself with arch_prctl(2), and ends with the error number.
    private static let archPrctl: [UInt8] = [
        0xb8, 0x9e, 0x00, 0x00, 0x00,  // mov eax, 158: arch_prctl
        0xbf, 0x12, 0x10, 0x00, 0x00,  // mov edi, 0x1012: ARCH_SET_CPUID
        0x31, 0xf6,  // xor esi, esi
        0x0f, 0x05,  // syscall
        0x50,  // push rax
        0x0f, 0xa2,  // cpuid
        0x58,  // pop rax
        0xf7, 0xd8,  // neg eax
    ]

    /// The programs' statuses, one after the other in one guest.
    private func statuses(_ options: [String], _ programs: [(name: String, bytes: [UInt8])]) throws -> [String] {
        let folder = try makeFolder()
        let paths = try programs.map { try program($0.name, $0.bytes, in: folder) }
        let script = paths.map { "\($0); echo $?" }.joined(separator: "; ")
        let run = try exec(options + paths.flatMap { ["--add", $0] } + ["--", "/bin/sh", "-c", script])
        run.assertStatus(0)
        let statuses = run.outputText.split(separator: "\n")
        return zip(programs, statuses).map { "\($0.name) \($1)" }
    }

    func testGenuineFaults() throws {
        func file(_ code: [UInt8]) -> [UInt8] {
            StaticProgram.file(.wide, code: { _ in code + StaticProgram.exit(.wide) }, data: [])
        }
        // The last one shows that the guest, and the trap, live on.
        let undefined = LeafProgram.Question(leaf: 0x4fff_fffe, subleaf: 35)
        let live = CheckProgram(questions: [undefined], answers: [CPUIDResult(edx: .max)])
        let programs =
            Self.faults.map { (name: $0.name, bytes: file($0.code)) }
            + [("prctl", file(Self.archPrctl)), ("live", live.file(.wide))]
        let trapped = try statuses([], programs)
        let faults = Self.faults.map { "\($0.name) 139" }
        XCTAssertEqual(Array(trapped.prefix(faults.count)), faults)
        XCTAssertEqual(trapped.last, "live 0")
        let untrapped = try statuses(["--cpuid-trap", "none"], programs)
        XCTAssertEqual(trapped.dropLast(), untrapped.dropLast())
        XCTAssertEqual(untrapped.last, "live 1")
    }

    func testAProgramThatHandlesItsFaults() throws {
        XCTAssertEqual(try statuses([], [("signals", SignalProgram.file)]), ["signals 0"])
    }
}
