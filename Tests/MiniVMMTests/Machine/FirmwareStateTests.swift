@testable import Boot
@testable import Host
@testable import KVM
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// What a guest finds of a firmware's settings, on every vCPU and in every kind of guest.
final class FirmwareStateTests: KVMTestCase {
    private func machines() throws -> [Machine] {
        var options = MachineOptions()
        options.cpuCount = 2
        options.trap = .none
        let kernel = SampleMultiboot(code: [0xf4])
        return [
            try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: [0xf4]), options: options),
            try Machine(
                kvm: TestKVM.shared(), guest: MultibootGuest(MultibootImage(kernel.file), GuestSettings()),
                options: options),
        ]
    }

    func testMemoryTypes() throws {
        for vcpu in try machines().flatMap(\.runners).map(\.vcpu) {
            let types: [(UInt32, UInt64)] = [
                (0x2ff, 0xc06), (0x250, 0x0606_0606_0606_0606), (0x258, 0x0606_0606_0606_0606), (0x259, 0),
                (0x268, 0x0505_0505_0505_0505), (0x26f, 0x0505_0505_0505_0505), (0x200, 0xc000_0000),
            ]
            for (register, value) in types {
                XCTAssertEqual(vcpu.modelSpecificRegister(register), value, Hex.number(UInt64(register)))
            }
            // All address bits from bit 30 on, and that the range counts.
            let bits = try vcpu.cpuid().physicalAddressBits
            XCTAssertEqual(vcpu.modelSpecificRegister(0x201), (1 << bits) - (1 << 30) | 1 << 11)
        }
    }

    func testFastStringsAndMachineChecks() throws {
        let kvm = try TestKVM.shared()
        for vcpu in try machines().flatMap(\.runners).map(\.vcpu) {
            XCTAssertEqual(vcpu.modelSpecificRegister(0x1a0).map { $0 & 1 }, 1)
            let banks = try XCTUnwrap(vcpu.modelSpecificRegister(0x179))
            XCTAssertEqual(banks & 0xff, min(10, UInt64(kvm.value(of: .machineChecks))))
            XCTAssertEqual(banks & 0x100, kvm.machineCheckCapabilities & 0x100)
            // On AMD KVM takes what follows away again.
            XCTAssertEqual(banks & ~0x1ff & ~(kvm.machineCheckCapabilities & 0x100_0000), 0)
        }
    }

    func testTheNameOfTheProcessor() throws {
        for vcpu in try machines().flatMap(\.runners).map(\.vcpu) {
            let table = try vcpu.cpuid()
            let bytes = HostFacts.brandLeaves.flatMap { leaf -> [UInt8] in
                let result = table.storedResult(leaf: leaf, subleaf: 0) ?? CPUIDResult()
                return [result.eax, result.ebx, result.ecx, result.edx].flatMap { register in
                    (0..<4).map { UInt8(truncatingIfNeeded: register >> UInt32(8 * $0)) }
                }
            }
            let words = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self).split(separator: " ")
            XCTAssertEqual(words.joined(separator: " "), HostFacts.processorName)
        }
    }

    /// Without a name of KVM's own, the host's is taken; a name that there is stays.
    func testANameThatThereIsStays() {
        var supported = CPUIDTable(entries: [.init(leaf: 0x8000_0000, result: CPUIDResult(eax: 0x8000_0008))])
        let made = CPUIDTable.guest(supported: supported, apicID: 0)
        XCTAssertNotEqual(made.storedResult(leaf: 0x8000_0002, subleaf: 0), CPUIDResult())
        supported.entries.append(.init(leaf: 0x8000_0002, result: CPUIDResult(eax: 0x41)))
        let kept = CPUIDTable.guest(supported: supported, apicID: 0)
        XCTAssertEqual(kept.storedResult(leaf: 0x8000_0002, subleaf: 0), CPUIDResult(eax: 0x41))
        XCTAssertNil(kept.storedResult(leaf: 0x8000_0003, subleaf: 0))
    }

    /// The local APIC of a machine that has one is on: a kernel may ask it before it sets it up.
    func testTheLocalAPICIsOn() throws {
        let asks: [UInt8] = [
            0xa1, 0xf0, 0x00, 0xe0, 0xfe,  // mov eax, [0xfee000f0]
            0xc1, 0xe8, 0x08,  // shr eax, 8
            0xe6, 0xf4,  // out 0xf4, al
        ]
        let guest = try MultibootGuest(MultibootImage(SampleMultiboot(code: asks).file), GuestSettings())
        let outcome = try Machine(kvm: TestKVM.shared(), guest: guest).run(timeout: .seconds(60))
        guard case .exitPort(1) = outcome.ending else { return XCTFail(outcome.ending.summary) }
    }
}
