import CKVM
@testable import Counters
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// What is answered out of KVM's table, which is not read for every answer.
final class CPUIDResponderTests: XCTestCase {
    private static let leaves =
        Array(UInt32(0)...0x24) + Array(UInt32(0x4000_0000)...0x4000_0003)
        + Array(UInt32(0x8000_0000)...0x8000_0026) + [0x4000_0100, 0x4fff_fffb, 0x7fff_ffff, .max]
    private static let subleaves: [UInt32] = [0, 1, 2, 17, .max]

    /// CR4.OSXSAVE. Source: Intel SDM, volume 3, "Control Registers".
    private static let osxsave: UInt64 = 1 << 18

    private struct Subject {
        let vcpu: VCPU
        let responder: CPUIDResponder

        init() throws {
            let kvm = try TestKVM.shared()
            let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 1 << 20)])
            let machine = try VirtualMachine(kvm: kvm, memory: memory)
            try machine.setRealModePages()
            vcpu = try machine.makeVCPU(id: 0)
            try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: 0))
            responder = CPUIDResponder(
                vcpu: vcpu, leaves: .f22, numbering: .sdm, source: ExitCounterTable.inMemory(vcpuCount: 1))
        }

        func answer(_ leaf: UInt32, _ subleaf: UInt32 = 0) throws -> CPUIDResult {
            var registers = GeneralRegisters()
            registers.rax = UInt64(leaf)
            registers.rcx = UInt64(subleaf)
            try responder.answer(&registers, at: 0)
            return CPUIDResult(
                eax: UInt32(registers.rax), ebx: UInt32(registers.rbx), ecx: UInt32(registers.rcx),
                edx: UInt32(registers.rdx))
        }

        /// What KVM's table says now.
        func fresh(_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult {
            let buffer = KernelCPUIDBuffer(capacity: CPUIDTable.maximumEntryCount)
            XCTAssertEqual(ckvm_get_cpuid2(vcpu.descriptor.number, buffer.table), 0)
            return buffer.lookUp(leaf: leaf, subleaf: subleaf)
        }

        func setCR4(_ bits: UInt64) throws {
            var special = try vcpu.specialRegisters()
            special.cr4 = bits
            try vcpu.setSpecialRegisters(special)
        }
    }

    func testAnswersAreThoseOfAFreshTableWhateverChanges() throws {
        let subject = try Subject()
        for cr4 in [0, Self.osxsave, 0] {
            try subject.setCR4(cr4)
            for leaf in Self.leaves {
                for subleaf in Self.subleaves {
                    XCTAssertEqual(
                        try subject.answer(leaf, subleaf), subject.fresh(leaf, subleaf),
                        "leaf \(String(leaf, radix: 16)) subleaf \(subleaf)")
                }
            }
        }
    }

    /// OSXSAVE in leaf 1, ECX bit 27, is CR4's bit 18, also after other leaves have been answered.
    func testBitThatFollowsCR4() throws {
        let subject = try Subject()
        for cr4 in [Self.osxsave, 0, Self.osxsave] {
            try subject.setCR4(cr4)
            _ = try subject.answer(0)
            XCTAssertEqual(try subject.answer(1).ecx >> 27 & 1, cr4 == 0 ? 0 : 1)
        }
    }
}
