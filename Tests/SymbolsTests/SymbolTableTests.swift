@testable import Boot
@testable import TestSupport
import XCTest

@testable import Symbols

/// The functions of files that were made here.
final class SymbolTableTests: XCTestCase {
    private func table(_ text: String) throws -> SymbolTable { try SymbolTable(Array(text.utf8), path: "map") }

    private func find(_ table: SymbolTable, _ address: UInt64) -> String? {
        table.function(at: address).map { "\($0.name)+\($0.offset)" }
    }

    private static let kernel = """
        0000000000000000 A fixed_percpu_data
        ffffffff81000000 T _stext
        ffffffff81000000 t also
        ffffffff81000100 t native_cpuid
        ffffffff81000100 T also_native_cpuid
        ffffffff81000200 D data
        ffffffff81000300 W weak
        ffffffff82000080 T entry_SYSCALL_64
        ffffffff82000100 T _etext
        ffffffffc0000000 t module_function\t[module]

        """

    func testMap() throws {
        let table = try table(Self.kernel)
        XCTAssertEqual(table.count, 6)
        XCTAssertNil(find(table, 0xffff_ffff_80ff_ffff))
        XCTAssertEqual(find(table, 0xffff_ffff_8100_0000), "_stext+0")
        XCTAssertEqual(find(table, 0xffff_ffff_8100_00ff), "_stext+255")
        // Of two names the global one. Data ends nothing.
        XCTAssertEqual(find(table, 0xffff_ffff_8100_0100), "also_native_cpuid+0")
        XCTAssertEqual(find(table, 0xffff_ffff_8100_02ff), "also_native_cpuid+511")
        XCTAssertEqual(find(table, 0xffff_ffff_8100_0300), "weak+0")
        // No function is so long.
        XCTAssertNil(find(table, 0xffff_ffff_8110_0300))
        XCTAssertEqual(find(table, 0xffff_ffff_c000_0010), "module_function+16")
        XCTAssertNil(find(table, .max))
    }

    func testAKernelThatHasMoved() throws {
        let table = try table(Self.kernel)
        XCTAssertTrue(table.isLinuxKernel)
        // Up by 0x1600000, as KASLR does; and down.
        for slide: UInt64 in [0x160_0000, 0 &- 0x40_0000] {
            let moved = try XCTUnwrap(table.moved(toSystemCallHandler: 0xffff_ffff_8200_0080 &+ slide))
            XCTAssertEqual(find(moved, 0xffff_ffff_8100_0104 &+ slide), "also_native_cpuid+4")
            XCTAssertNil(find(moved, 0xffff_ffff_c000_0010 &+ slide))
        }
        let same = try XCTUnwrap(table.moved(toSystemCallHandler: 0xffff_ffff_8200_0080))
        XCTAssertEqual(find(same, 0xffff_ffff_c000_0010), "module_function+16")
        // No system calls yet; not by whole units; farther than any kernel is moved.
        for address: UInt64 in [0, 0xffff_ffff_8200_1080, 0xffff_ffff_8200_0081, 0xffff_fe00_0000_0080] {
            XCTAssertNil(table.moved(toSystemCallHandler: address))
        }
        XCTAssertNil(try self.table("10 T main\n").moved(toSystemCallHandler: 0xffff_ffff_8200_0080))
    }

    func testWhatIsNoMap() throws {
        for (text, error): (String, SymbolError) in [
            ("", .noFunctions(path: "map")), ("10 D data\n", .noFunctions(path: "map")),
            ("0 T main\n0 t other\n", .addressesHidden(path: "map")), ("hello\n", .notSymbols(path: "map")),
            ("xyz T main\n", .notSymbols(path: "map")), ("10 TT main\n", .notSymbols(path: "map")),
            ("10 T\n", .notSymbols(path: "map")), ("11112222333344445 T main\n", .notSymbols(path: "map")),
            ("\u{7f}ELF", .notSymbols(path: "map")),
        ] {
            XCTAssertThrowsError(try table(text), text) { XCTAssertEqual($0 as? SymbolError, error, text) }
        }
        XCTAssertEqual(find(try table("10 T ma\u{1b}in\n"), 0x10), "ma?in+0")
    }

    func testNamesAsTheirProgrammersWriteThem() {
        for (name, readable) in [
            ("_ZN4math3addEii", "math::add(int, int)"), ("$s4main5startyyF", "main.start() -> ()"),
            ("_$s4main5startyyF", "main.start() -> ()"), ("_Z", "_Z"), ("_ZN4math", "_ZN4math"), ("main", "main"),
            ("$s", "$s"), (String(repeating: "_ZN1a", count: 800), String(repeating: "_ZN1a", count: 800)),
        ] {
            XCTAssertEqual(Demangler.readable(name), readable)
        }
    }

    // MARK: ELF

    private struct Symbol {
        var name: String
        var value: UInt64
        var size: UInt64
        /// Binding and type: 0x12 a global function, 2 a local one, 0 a local label, 0x11 a global object.
        var information: UInt8
        var section: UInt16 = 1
    }

    private static let symbols = [
        Symbol(name: "first", value: 0x7c00, size: 16, information: 0x12),
        Symbol(name: "second", value: 0x7c20, size: 0, information: 2),
        Symbol(name: "label", value: 0x7c28, size: 0, information: 0),
        Symbol(name: "number", value: 0x7c30, size: 4, information: 0x11),
        Symbol(name: "in_data", value: 0x7c34, size: 4, information: 0, section: 2),
        Symbol(name: "imported", value: 0, size: 0, information: 0x12, section: 0),
    ]

    /// A file with sections of code, data, symbols and names, in 64 or 32 bits.
    private static func elf(isWide: Bool, symbolsType: UInt32 = 2) -> [UInt8] {
        func word(_ value: UInt64) -> [UInt8] { bytes(value, isWide ? 8 : 4) }
        func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        var names: [UInt8] = [0]
        var table: [UInt8] = [UInt8](repeating: 0, count: isWide ? 24 : 16)
        for symbol in symbols {
            let rest = [symbol.information, 0] + bytes(UInt64(symbol.section), 2)
            table += bytes(UInt64(names.count), 4)
            table +=
                isWide ? rest + word(symbol.value) + word(symbol.size) : word(symbol.value) + word(symbol.size) + rest
            names += Array(symbol.name.utf8) + [0]
        }
        let headerSize = isWide ? 64 : 52
        func section(_ type: UInt32, _ flags: UInt64, _ offset: Int, _ size: Int, link: UInt64) -> [UInt8] {
            bytes(0, 4) + bytes(UInt64(type), 4) + word(flags) + word(0) + word(UInt64(offset)) + word(UInt64(size))
                + bytes(link, 4) + bytes(0, 4) + word(0) + word(0)
        }
        let sections =
            section(0, 0, 0, 0, link: 0) + section(1, 6, 0, 0, link: 0) + section(1, 3, 0, 0, link: 0)
            + section(symbolsType, 0, headerSize, table.count, link: 4)
            + section(3, 0, headerSize + table.count, names.count, link: 0)
        var header = [UInt8](repeating: 0, count: headerSize)
        header.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, isWide ? 2 : 1, 1, 1])
        header.replaceSubrange(16..<20, with: bytes(2, 2) + bytes(isWide ? 62 : 3, 2))
        let start = UInt64(headerSize + table.count + names.count)
        let place = isWide ? 40 : 32
        header.replaceSubrange(place..<(place + (isWide ? 8 : 4)), with: word(start))
        let counts = isWide ? 58 : 46
        header.replaceSubrange(counts..<(counts + 4), with: bytes(isWide ? 64 : 40, 2) + bytes(5, 2))
        return header + table + names + sections
    }

    func testELF() throws {
        for isWide in [true, false] {
            // The full table, or the dynamic loader's.
            for type: UInt32 in [2, 11] {
                let table = try SymbolTable(Self.elf(isWide: isWide, symbolsType: type), path: "a")
                XCTAssertEqual(table.count, 3)
                XCTAssertEqual(find(table, 0x7c0f), "first+15")
                XCTAssertNil(find(table, 0x7c10))
                XCTAssertEqual(find(table, 0x7c27), "second+7")
                XCTAssertEqual(find(table, 0x7c34), "label+12")
            }
        }
        XCTAssertThrowsError(try SymbolTable(Self.elf(isWide: true, symbolsType: 3), path: "a")) {
            XCTAssertEqual($0 as? SymbolError, .noFunctions(path: "a"))
        }
    }

    /// No damage traps, whatever byte is changed.
    func testDamagedELF() throws {
        for isWide in [true, false] {
            let file = Self.elf(isWide: isWide)
            for index in file.indices {
                for value: UInt8 in [0, 0x7f, 0xff] {
                    var damaged = file
                    damaged[index] = value
                    _ = try? SymbolTable(damaged, path: "a")
                }
                _ = try? SymbolTable(Array(file.prefix(index)), path: "a")
            }
        }
        var file = Self.elf(isWide: true)
        file[40 + 3] = 0xff
        XCTAssertThrowsError(try SymbolTable(file, path: "a")) {
            XCTAssertEqual(
                $0 as? SymbolError, .damaged(path: "a", problem: "its section headers lie outside the file"))
        }
    }
}
