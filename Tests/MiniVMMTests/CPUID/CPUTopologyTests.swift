@testable import KVM
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// What a guest's processors say of how they hang together.
final class CPUTopologyTests: XCTestCase {
    /// What depends on the number of cores, worked out by hand from the manuals.
    private struct Expected {
        let cores: UInt32
        /// The bits of an APIC id.
        let bits: UInt32
        /// Leaf 1, EBX bits 23:16, and EDX bit 28.
        let logicalProcessors: UInt32
        let isSeveral: Bool
        /// Leaf 4, EAX bits 31:14: of a private cache, and of the shared one.
        let intelPrivate: UInt32
        let intelShared: UInt32
        /// Leaf 0x8000001D, EAX bits 31:14 of the shared cache.
        let amdShared: UInt32
        /// Leaf 0x80000008, ECX bits 15:0.
        let amdSizes: UInt32
    }

    private static let table = [
        Expected(
            cores: 1, bits: 0, logicalProcessors: 1, isSeveral: false, intelPrivate: 0, intelShared: 0, amdShared: 0,
            amdSizes: 0x0000),
        Expected(
            cores: 2, bits: 1, logicalProcessors: 2, isSeveral: true, intelPrivate: 0x0400_0000,
            intelShared: 0x0400_4000, amdShared: 0x4000, amdSizes: 0x1001),
        Expected(
            cores: 3, bits: 2, logicalProcessors: 3, isSeveral: true, intelPrivate: 0x0c00_0000,
            intelShared: 0x0c00_c000, amdShared: 0x8000, amdSizes: 0x2002),
        Expected(
            cores: 8, bits: 3, logicalProcessors: 8, isSeveral: true, intelPrivate: 0x1c00_0000,
            intelShared: 0x1c01_c000, amdShared: 0x1_c000, amdSizes: 0x3007),
        Expected(
            cores: 255, bits: 8, logicalProcessors: 255, isSeveral: true, intelPrivate: 0xfc00_0000,
            intelShared: 0xfc3f_c000, amdShared: 0x3f_8000, amdSizes: 0x80fe),
    ]

    private func guest(_ supported: CPUIDTable, _ expected: Expected, apicID: UInt32) -> CPUIDTable {
        .guest(supported: supported, apicID: apicID, topology: CPUTopology(coreCount: Int(expected.cores)))
    }

    private func check(
        _ table: CPUIDTable, _ leaf: UInt32, _ subleaf: UInt32, _ result: CPUIDResult, line: UInt = #line
    ) {
        let name = "leaf 0x\(String(leaf, radix: 16)) subleaf \(subleaf)"
        XCTAssertEqual(table.lookUp(leaf: leaf, subleaf: subleaf), result, name, line: line)
    }

    private func check(_ table: CPUIDTable, _ leaf: UInt32, _ result: CPUIDResult, line: UInt = #line) {
        check(table, leaf, 0, result, line: line)
    }

    /// Leaves 0xB and 0x1F, of either vendor.
    private func checkLevels(_ table: CPUIDTable, _ leaf: UInt32, _ expected: Expected, apicID: UInt32) {
        check(table, leaf, 0, CPUIDResult(eax: 0, ebx: 1, ecx: 0x100, edx: apicID))
        check(table, leaf, 1, CPUIDResult(eax: expected.bits, ebx: expected.cores, ecx: 0x201, edx: apicID))
        check(table, leaf, 2, CPUIDResult(eax: 0, ebx: 0, ecx: 2, edx: apicID))
        check(table, leaf, 0x103, CPUIDResult(eax: 0, ebx: 0, ecx: 3, edx: apicID))
    }

    func testIntel() {
        for expected in Self.table {
            for apicID in [0, expected.cores - 1] {
                let table = guest(SampleCPUIDTable.intel, expected, apicID: apicID)
                check(
                    table, 1,
                    CPUIDResult(
                        eax: 0xc06f1, ebx: apicID << 24 | expected.logicalProcessors << 16 | 0x0805, ecx: 0xfffa_3203,
                        edx: expected.isSeveral ? 0x1f8b_fbff : 0x0f8b_fbff))
                let (own, shared) = (expected.intelPrivate, expected.intelShared)
                check(table, 4, 0, CPUIDResult(eax: own | 0x121, ebx: 0x02c0_003f, ecx: 0x3f))
                check(table, 4, 1, CPUIDResult(eax: own | 0x122, ebx: 0x01c0_003f, ecx: 0x3f))
                check(table, 4, 2, CPUIDResult(eax: own | 0x143, ebx: 0x03c0_003f, ecx: 0x7ff))
                check(table, 4, 3, CPUIDResult(eax: shared | 0x163, ebx: 0x0380_003f, ecx: 0x1_bfff, edx: 4))
                check(table, 4, 4, CPUIDResult())
                checkLevels(table, 0xb, expected, apicID: apicID)
                checkLevels(table, 0x1f, expected, apicID: apicID)
                check(table, 0x8000_0001, CPUIDResult(ecx: 0x121, edx: 0x2c10_0800))
                check(table, 0x8000_0008, CPUIDResult(eax: 0x3039, ebx: 0x200))
            }
        }
    }

    func testAMD() {
        for expected in Self.table {
            for apicID in [0, expected.cores - 1] {
                let table = guest(SampleCPUIDTable.amd, expected, apicID: apicID)
                check(
                    table, 1,
                    CPUIDResult(
                        eax: 0xa00f11, ebx: apicID << 24 | expected.logicalProcessors << 16 | 0x0800, ecx: 0xfef8_320b,
                        edx: expected.isSeveral ? 0x178b_fbff : 0x078b_fbff))
                checkLevels(table, 0xb, expected, apicID: apicID)
                let cores: UInt32 = expected.isSeveral ? 0x0040_01f3 : 0x0040_01f1
                check(table, 0x8000_0001, CPUIDResult(eax: 0xa00f11, ecx: cores, edx: 0x2fd3_fbff))
                check(
                    table, 0x8000_0008,
                    CPUIDResult(eax: 0x3030, ebx: 0x111e_f657, ecx: 0x1_0000 | expected.amdSizes))
                check(table, 0x8000_001d, 0, CPUIDResult(eax: 0x121, ebx: 0x01c0_003f, ecx: 0x3f))
                check(table, 0x8000_001d, 2, CPUIDResult(eax: 0x143, ebx: 0x01c0_003f, ecx: 0x3ff))
                check(
                    table, 0x8000_001d, 3,
                    CPUIDResult(eax: expected.amdShared | 0x163, ebx: 0x03c0_003f, ecx: 0x7fff))
                check(table, 0x8000_001d, 4, CPUIDResult())
                check(table, 0x8000_001e, CPUIDResult(eax: apicID, ebx: apicID))
                check(table, 0x8000_0026, 0, CPUIDResult())
                check(table, 0x8000_0026, 1, CPUIDResult())
            }
        }
    }

    func testLeavesBeyondTheMaximumAreNotAdded() {
        var old = SampleCPUIDTable.amd
        old.entries[0].result.eax = 0xa
        old.entries.removeAll { $0.leaf == 0xb || $0.leaf >= 0x8000_0009 }
        for index in old.entries.indices where old.entries[index].leaf == 0x8000_0000 {
            old.entries[index].result.eax = 0x8000_0008
        }
        let table = CPUIDTable.guest(supported: old, apicID: 1, topology: CPUTopology(coreCount: 2))
        for leaf: UInt32 in [0xb, 0x1f, 0x8000_001e] { XCTAssertNil(table.entry(leaf: leaf, subleaf: 0)) }
    }

    func testZeroedTopologyOfNewerKernelsIsFilledIn() {
        // Since Linux 6.2 KVM reports zeros.
        var zeroed = SampleCPUIDTable.amd
        for index in zeroed.entries.indices where [0xb, 0x8000_001e].contains(zeroed.entries[index].leaf) {
            zeroed.entries[index].result = CPUIDResult()
        }
        let topology = CPUTopology(coreCount: 3)
        XCTAssertEqual(
            Set(CPUIDTable.guest(supported: zeroed, apicID: 2, topology: topology).entries),
            Set(CPUIDTable.guest(supported: SampleCPUIDTable.amd, apicID: 2, topology: topology).entries))
    }
}
