import CKVM
@testable import TestSupport
import XCTest

@testable import KVM

/// The registers are laid out as the kernel's structures are: what is cast from one to the other keeps its meaning.
///
/// Source: Linux, arch/x86/include/uapi/asm/kvm.h.
final class RegisterLayoutTests: XCTestCase {
    private typealias Segments = (
        WritableKeyPath<SpecialRegisters, SegmentRegister>, WritableKeyPath<kvm_sregs, kvm_segment>
    )

    func testSizes() {
        XCTAssertEqual(MemoryLayout<GeneralRegisters>.size, MemoryLayout<kvm_regs>.size)
        XCTAssertEqual(MemoryLayout<GeneralRegisters>.stride, MemoryLayout<kvm_regs>.stride)
        XCTAssertEqual(MemoryLayout<SegmentRegister>.size, MemoryLayout<kvm_segment>.size)
        XCTAssertEqual(MemoryLayout<SegmentRegister>.stride, MemoryLayout<kvm_segment>.stride)
        XCTAssertEqual(MemoryLayout<DescriptorTableRegister>.size, MemoryLayout<kvm_dtable>.size)
        XCTAssertEqual(MemoryLayout<DescriptorTableRegister>.stride, MemoryLayout<kvm_dtable>.stride)
        XCTAssertEqual(MemoryLayout<SpecialRegisters>.size, MemoryLayout<kvm_sregs>.size)
        XCTAssertEqual(MemoryLayout<SpecialRegisters>.stride, MemoryLayout<kvm_sregs>.stride)
        XCTAssertLessThanOrEqual(MemoryLayout<GeneralRegisters>.alignment, MemoryLayout<kvm_regs>.alignment)
        XCTAssertLessThanOrEqual(MemoryLayout<SpecialRegisters>.alignment, MemoryLayout<kvm_sregs>.alignment)
    }

    func testGeneralRegisters() {
        let fields: [(WritableKeyPath<GeneralRegisters, UInt64>, WritableKeyPath<kvm_regs, UInt64>)] = [
            (\.rax, \.rax), (\.rbx, \.rbx), (\.rcx, \.rcx), (\.rdx, \.rdx), (\.rsi, \.rsi), (\.rdi, \.rdi),
            (\.rsp, \.rsp), (\.rbp, \.rbp), (\.r8, \.r8), (\.r9, \.r9), (\.r10, \.r10), (\.r11, \.r11), (\.r12, \.r12),
            (\.r13, \.r13), (\.r14, \.r14), (\.r15, \.r15), (\.rip, \.rip), (\.rflags, \.rflags),
        ]
        XCTAssertEqual(fields.count * 8, MemoryLayout<kvm_regs>.size, "no field is left out")
        var kernel = kvm_regs()
        var own = GeneralRegisters()
        for (index, (field, kernelField)) in fields.enumerated() {
            kernel[keyPath: kernelField] = 0x0101_0101_0101_0101 * UInt64(index + 1)
            own[keyPath: field] = 0x1010_1010_1010_1010 ^ UInt64(index)
        }
        let (received, sent) = (GeneralRegisters(kernel), own.kernelValue)
        for (index, (field, kernelField)) in fields.enumerated() {
            XCTAssertEqual(received[keyPath: field], 0x0101_0101_0101_0101 * UInt64(index + 1), "\(kernelField)")
            XCTAssertEqual(sent[keyPath: kernelField], 0x1010_1010_1010_1010 ^ UInt64(index), "\(kernelField)")
        }
    }

    /// A segment of the kernel's with another number in every field.
    private func segment(_ number: UInt8) -> kvm_segment {
        kvm_segment(
            base: 0xb000_0000_0000_0000 | UInt64(number), limit: 0xa000_0000 | UInt32(number),
            selector: 0x5000 | UInt16(number), type: number &+ 1, present: number &+ 2, dpl: number &+ 3,
            db: number &+ 4, s: number &+ 5, l: number &+ 6, g: number &+ 7, avl: number &+ 8, unusable: number &+ 9,
            padding: 0)
    }

    private func checkSegment(_ own: SegmentRegister, _ kernel: kvm_segment, _ name: String) {
        XCTAssertEqual(own.base, kernel.base, name)
        XCTAssertEqual(own.limit, kernel.limit, name)
        XCTAssertEqual(own.selector, kernel.selector, name)
        let ownBytes = [own.type, own.present, own.dpl, own.db, own.s, own.l, own.g, own.avl, own.unusable]
        let kernelBytes = [
            kernel.type, kernel.present, kernel.dpl, kernel.db, kernel.s, kernel.l, kernel.g, kernel.avl,
            kernel.unusable,
        ]
        XCTAssertEqual(ownBytes, kernelBytes, name)
    }

    func testSegmentRegisters() {
        let fields: [Segments] = [
            (\.cs, \.cs), (\.ds, \.ds), (\.es, \.es), (\.fs, \.fs), (\.gs, \.gs), (\.ss, \.ss), (\.tr, \.tr),
            (\.ldt, \.ldt),
        ]
        var kernel = kvm_sregs()
        for (index, (_, field)) in fields.enumerated() { kernel[keyPath: field] = segment(UInt8(index * 16)) }
        let special = SpecialRegisters(kernel)
        for (field, kernelField) in fields {
            checkSegment(special[keyPath: field], kernel[keyPath: kernelField], "\(kernelField)")
            // One alone, and the other way round.
            var own = SpecialRegisters()
            own[keyPath: field] = special[keyPath: field]
            checkSegment(special[keyPath: field], own.kernelValue[keyPath: kernelField], "\(kernelField)")
        }
    }

    func testDescriptorTables() {
        var kernel = kvm_sregs()
        (kernel.gdt.base, kernel.gdt.limit) = (0xffff_8000_0000_1111, 0x2222)
        (kernel.idt.base, kernel.idt.limit) = (0xffff_8000_0000_3333, 0x4444)
        let own = SpecialRegisters(kernel)
        XCTAssertEqual(own.gdt.base, 0xffff_8000_0000_1111)
        XCTAssertEqual(own.gdt.limit, 0x2222)
        XCTAssertEqual(own.idt.base, 0xffff_8000_0000_3333)
        XCTAssertEqual(own.idt.limit, 0x4444)
        XCTAssertNotEqual(own.gdt, own.idt)
        // What the kernel leaves between the fields says nothing.
        kernel.gdt.padding = (1, 2, 3)
        XCTAssertEqual(SpecialRegisters(kernel).gdt, own.gdt)
        XCTAssertEqual(Set([SpecialRegisters(kernel).gdt, own.gdt]).count, 1)
    }

    func testControlRegisters() {
        let fields: [(WritableKeyPath<SpecialRegisters, UInt64>, WritableKeyPath<kvm_sregs, UInt64>)] = [
            (\.cr0, \.cr0), (\.cr2, \.cr2), (\.cr3, \.cr3), (\.cr4, \.cr4), (\.cr8, \.cr8), (\.efer, \.efer),
            (\.apicBase, \.apic_base), (\.interruptBitmap.word0, \.interrupt_bitmap.0),
            (\.interruptBitmap.word1, \.interrupt_bitmap.1), (\.interruptBitmap.word2, \.interrupt_bitmap.2),
            (\.interruptBitmap.word3, \.interrupt_bitmap.3),
        ]
        for (index, (field, kernelField)) in fields.enumerated() {
            var kernel = kvm_sregs()
            kernel[keyPath: kernelField] = UInt64.max - UInt64(index)
            let own = SpecialRegisters(kernel)
            XCTAssertEqual(fields.map { own[keyPath: $0.0] }, fields.map { kernel[keyPath: $0.1] }, "field \(index)")
            XCTAssertEqual(own[keyPath: field], UInt64.max - UInt64(index))
        }
    }

    /// All bytes, those between the fields too, come back as they were.
    func testThereAndBack() {
        var (general, special) = (kvm_regs(), kvm_sregs())
        withUnsafeMutableBytes(of: &general) { for index in $0.indices { $0[index] = UInt8(index * 7 & 0xff) } }
        withUnsafeMutableBytes(of: &special) { for index in $0.indices { $0[index] = UInt8(index * 11 & 0xff) } }
        let (generalBack, specialBack) = (GeneralRegisters(general).kernelValue, SpecialRegisters(special).kernelValue)
        XCTAssertEqual(bytes(generalBack), bytes(general))
        XCTAssertEqual(bytes(specialBack), bytes(special))
    }

    private func bytes<Value>(_ value: Value) -> [UInt8] { withUnsafeBytes(of: value) { [UInt8]($0) } }

    func testInitialValues() {
        var kernel = kvm_regs()
        kernel.rflags = 2
        XCTAssertEqual(GeneralRegisters(), GeneralRegisters(kernel), "bit 1 of RFLAGS is always 1")
        XCTAssertEqual(SpecialRegisters(), SpecialRegisters(kvm_sregs()))
    }
}
