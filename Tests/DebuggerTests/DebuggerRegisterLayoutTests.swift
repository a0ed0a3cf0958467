import XCTest

@testable import Debugger
@testable import KVM
@testable import MiniVMM

/// The registers as GDB gets them.
final class DebuggerRegisterLayoutTests: XCTestCase {
    private func state() -> VCPURegisters {
        VCPURegisters(general: GeneralRegisters(), special: SpecialRegisters(), floatingPoint: FloatingPointState())
    }

    /// 64 bits: 17 registers of 8 bytes, 7 of 4, 8 of 10, 8 of 4; 16 of 16 and one of 4; 2 and 10 of 8.
    /// 32 bits: 16 of 4, 8 of 10, 8 of 4; 8 of 16 and one of 4; 10 of 8.
    func testSizes() {
        XCTAssertEqual(RegisterLayout(.x86_64).size, 136 + 28 + 80 + 32 + 256 + 4 + 16 + 80)
        XCTAssertEqual(RegisterLayout(.i386).size, 64 + 80 + 32 + 128 + 4 + 80)
        XCTAssertEqual(RegisterLayout(.i8086).size, RegisterLayout(.i386).size)
    }

    /// The numbers that GDB's own descriptions have.
    func testNumbers() {
        let wide = RegisterLayout(.x86_64)
        for (name, number) in [("rax", 0), ("rsp", 7), ("r15", 15), ("rip", 16), ("gs", 23), ("st0", 24), ("xmm0", 40)]
        {
            XCTAssertEqual(wide.number(of: name), number, name)
        }
        let narrow = RegisterLayout(.i386)
        for (name, number) in [("eax", 0), ("ecx", 1), ("esp", 4), ("edi", 7), ("eip", 8), ("gs", 15), ("xmm0", 32)] {
            XCTAssertEqual(narrow.number(of: name), number, name)
        }
    }

    func testTheModeChoosesTheLayout() {
        var state = state()
        XCTAssertEqual(RegisterLayout(for: state).architecture, .i8086)
        state.special.cs.db = 1
        XCTAssertEqual(RegisterLayout(for: state).architecture, .i386)
        state.special.efer = 1 << 10
        XCTAssertEqual(RegisterLayout(for: state).architecture, .x86_64)
    }

    func testEveryRegisterComesBackAsItWasSet() {
        for architecture in [RegisterLayout.Architecture.i8086, .i386, .x86_64] {
            let layout = RegisterLayout(architecture)
            var bytes = (0..<layout.size).map { UInt8(truncatingIfNeeded: $0 * 7 + 1) }
            var offset = 0
            for register in layout.registers {
                // What is narrower than it is shown, and what is never there.
                switch register.source {
                case .selector, .floatingPoint(_, 2):
                    bytes.replaceSubrange(offset + 2..<offset + register.size, with: [0, 0])
                case .none, .tagWord:
                    bytes.replaceSubrange(offset..<offset + 4, with: [0, 0, 0, 0])
                default: break
                }
                offset += register.size
            }
            var state = state()
            // Protected mode, in which a selector does not move its segment; and long mode for 64 bits.
            state.special.cr0 = 1
            state.special.cs.l = 1
            let cr0 = layout.registers.prefix { $0.name != "cr0" }.reduce(0) { $0 + $1.size }
            bytes[cr0] |= 1
            let efer = layout.registers.prefix { $0.name != "efer" }.reduce(0) { $0 + $1.size }
            bytes[efer + 1] = architecture == .x86_64 ? 4 : 0
            XCTAssertTrue(layout.set(bytes, in: &state))
            XCTAssertEqual(layout.values(in: state), bytes, "\(architecture)")
            XCTAssertFalse(layout.set(Array(bytes.dropLast()), in: &state))
        }
    }

    /// GDB has linear addresses alone: CS's base is in the instruction pointer, and comes off it again.
    func testTheInstructionPointerIsLinear() throws {
        let layout = RegisterLayout(.i8086)
        let register = try XCTUnwrap(layout.number(of: "eip").map { layout.registers[$0] })
        var state = state()
        state.special.cs.selector = 0x1000
        state.special.cs.base = 0x10000
        state.general.rip = 0x50
        XCTAssertEqual(layout.value(of: register, in: state), [0x50, 0, 1, 0])
        layout.set(register, to: [0x60, 0, 1, 0], in: &state)
        XCTAssertEqual(state.general.rip, 0x60)
    }

    func testASelectorMovesItsSegmentInRealMode() throws {
        let layout = RegisterLayout(.i8086)
        let register = try XCTUnwrap(layout.number(of: "ds").map { layout.registers[$0] })
        var state = state()
        layout.set(register, to: [0x34, 0x12, 0, 0], in: &state)
        XCTAssertEqual(state.special.ds.selector, 0x1234)
        XCTAssertEqual(state.special.ds.base, 0x12340)
    }

    /// A bit for a register that is in use, and two for one that is empty.
    func testTagWord() throws {
        let layout = RegisterLayout(.x86_64)
        let register = try XCTUnwrap(layout.number(of: "ftag").map { layout.registers[$0] })
        var state = state()
        XCTAssertEqual(layout.value(of: register, in: state), [0xff, 0xff, 0, 0])
        layout.set(register, to: [0xfc, 0x3f, 0, 0], in: &state)
        XCTAssertEqual(state.floatingPoint.bytes[FloatingPointState.Offset.abridgedTag], 0x81)
        XCTAssertEqual(layout.value(of: register, in: state), [0xfc, 0x3f, 0, 0])
    }

    func testTheDescriptionIsXML() {
        for architecture in [RegisterLayout.Architecture.i8086, .i386, .x86_64] {
            let layout = RegisterLayout(architecture)
            let document = layout.description
            XCTAssertTrue(document.hasPrefix("<?xml version=\"1.0\"?>\n"))
            XCTAssertTrue(document.contains("<architecture>\(architecture.rawValue)</architecture>"))
            XCTAssertEqual(document.components(separatedBy: "<reg ").count - 1, layout.registers.count)
            XCTAssertEqual(
                document.components(separatedBy: "<feature ").count,
                document.components(separatedBy: "</feature>").count)
        }
    }
}
