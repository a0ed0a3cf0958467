@testable import Boot
@testable import TestSupport
import XCTest

@testable import Symbols

/// Functions of a program and its libraries, by where they were mapped.
final class ProgramMappingsTests: XCTestCase {
    /// A file whose code is linked to an address and stands at an offset, with one function 16 bytes behind that.
    private static func file(code address: UInt64, at offset: UInt64, function: String) -> [UInt8] {
        let names = [0] + Array(function.utf8) + [0]
        let symbols: UInt64 = 0x1100
        let strings = symbols + 48
        let sections = strings + 64
        var bytes = [UInt8](repeating: 0, count: Int(sections) + 3 * 64)
        bytes.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
        bytes.set(UInt16(3), at: 16)
        bytes.set(UInt16(62), at: 18)
        // Two program headers at 64: data to be read, and code; three section headers.
        bytes.set(UInt64(64), at: 32)
        bytes.set(sections, at: 40)
        for (value, at): (UInt16, Int) in [(56, 54), (2, 56), (64, 58), (3, 60)] { bytes.set(value, at: at) }
        let headers: [(flags: UInt32, offset: UInt64, address: UInt64)] = [(4, 0, 0), (5, offset, address)]
        for (index, header) in headers.enumerated() {
            let start = 64 + 56 * index
            bytes.set(UInt32(1), at: start)
            bytes.set(header.flags, at: start + 4)
            bytes.set(header.offset, at: start + 8)
            bytes.set(header.address, at: start + 16)
            bytes.set(UInt64(0x100), at: start + 32)
            bytes.set(UInt64(0x100), at: start + 40)
        }
        // The symbol behind the empty one: a global function of 16 bytes.
        bytes.set(UInt32(1), at: Int(symbols) + 24)
        bytes.set(UInt8(0x12), at: Int(symbols) + 28)
        bytes.set(UInt16(1), at: Int(symbols) + 30)
        bytes.set(address + 0x10, at: Int(symbols) + 32)
        bytes.set(UInt64(16), at: Int(symbols) + 40)
        bytes.replaceSubrange(Int(strings)..<Int(strings) + names.count, with: names)
        // The sections: none, the symbols with the number of their strings' section, the strings.
        let table: [(type: UInt32, offset: UInt64, size: UInt64)] = [
            (2, symbols, 48), (3, strings, UInt64(names.count)),
        ]
        for (index, section) in table.enumerated() {
            let start = Int(sections) + 64 * (index + 1)
            bytes.set(section.type, at: start + 4)
            bytes.set(section.offset, at: start + 24)
            bytes.set(section.size, at: start + 32)
            bytes.set(UInt32(2), at: start + 40)
        }
        return bytes
    }

    private func find(_ mappings: ProgramMappings, _ address: UInt64) -> String? {
        mappings.function(at: address).map { "\($0.name)+\(String($0.offset, radix: 16))" }
    }

    func testFilesAreFoundWhereTheyWereMapped() {
        let text = """
            00400000-00401000 r-xp 00000000 00:01 12                                 /bin/fixed
            555555554000-555555555000 r--p 00000000 00:01 13                         /usr/lib/a library.so
            555555555000-555555556000 r-xp 00001000 00:01 13                         /usr/lib/a library.so
            555555557000-555555558000 rw-p 00002000 00:01 13                         /usr/lib/a library.so
            7ffff7fc0000-7ffff7fc1000 r-xp 00000000 00:00 0
            7ffff7fc2000-7ffff7fc4000 r-xp 00003000 00:01 14                         /lib/un\u{1b}known.so
            7ffff7ffd000-7ffff7fff000 r-xp 00000000 00:00 0                          [vdso]

            """
        let mappings = ProgramMappings(
            Array(text.utf8),
            files: [
                // Code that starts in the middle of a page, which the headers share with it.
                "/bin/fixed": Self.file(code: 0x40_0080, at: 0x80, function: "main"),
                "/usr/lib/a library.so": Self.file(code: 0x2000, at: 0x1000, function: "_ZN4math3addEii"),
            ])
        for (address, function): (UInt64, String?) in [
            (0x40_0090, "main+0"), (0x40_009f, "main+f"), (0x40_00a0, "fixed+4000a0"), (0x40_1000, nil),
            (0x5555_5555_5010, "math::add(int, int)+0"), (0x5555_5555_501f, "math::add(int, int)+f"),
            (0x5555_5555_5020, "a?library.so+2020"), (0x5555_5555_4010, nil), (0x5555_5555_7010, nil),
            (0x7fff_f7fc_0000, nil), (0x7fff_f7fc_2004, "un?known.so+3004"), (0x7fff_f7ff_d00a, "[vdso]+a"),
        ] {
            XCTAssertEqual(find(mappings, address), function, String(address, radix: 16))
        }
    }

    func testWhatIsNoMappingIsLeftOut() {
        for text in [
            "", "\n\n", "400000 r-xp 0 0 0 /a", "402000-401000 r-xp 0 0 0 /a", "x-y r-xp 0 0 0 /a",
            "400000-401000 r-xp zz 0 0 /a", "400000-401000-402000 r-xp 0 0 0 /a", "400000-401000 rw-p 0 0 0 /a",
            "400000-401000 r-xp 0 0 0",
        ] {
            XCTAssertNil(ProgramMappings(Array(text.utf8), files: [:]).function(at: 0x40_0000), text)
        }
        // The whole address space, and a file that is damaged.
        let all = ProgramMappings(
            Array("0-ffffffffffffffff r-xp ffffffffffffffff 0 0 /a".utf8), files: ["/a": [0x7f, 0x45, 0x4c, 0x46]])
        XCTAssertEqual(find(all, 0xffff_ffff_ffff_fffe), "a+fffffffffffffffd")
    }
}
