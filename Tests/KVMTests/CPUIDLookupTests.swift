import CKVM
@testable import TestSupport
import XCTest

@testable import KVM

/// KVM's rules for a leaf and subleaf, with and without an entry of its own.
///
/// Every question is put to both keepers of a table. Source: Linux, arch/x86/kvm/cpuid.c, kvm_cpuid().
final class CPUIDLookupTests: XCTestCase {
    private typealias Entry = CPUIDTable.Entry

    /// What the vendors have in EBX, EDX and ECX of leaf 0, as text.
    private static let vendors = (
        intel: "GenuineIntel", amd: "AuthenticAMD", oldAMD: "AMDisbetter!", hygon: "HygonGenuine"
    )

    /// Leaf 0 with a maximum basic leaf and a vendor.
    private func leaf0(_ maximum: UInt32, _ vendor: String = vendors.intel) -> Entry {
        let bytes = vendor.utf8.map(UInt32.init)
        let words = stride(from: 0, to: 12, by: 4).map { start in
            (0..<4).reduce(0) { $0 | bytes[start + $1] << UInt32(8 * $1) }
        }
        return Entry(leaf: 0, result: CPUIDResult(eax: maximum, ebx: words[0], ecx: words[2], edx: words[1]))
    }

    /// An answer that tells its leaf and subleaf.
    private func answer(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> CPUIDResult {
        CPUIDResult(eax: leaf, ebx: 0xb0 | subleaf, ecx: 0xc0 | subleaf, edx: 0xd0 | subleaf)
    }

    private func entry(_ leaf: UInt32, _ subleaf: UInt32? = nil) -> Entry {
        Entry(leaf: leaf, subleaf: subleaf, result: answer(leaf, subleaf ?? 0))
    }

    /// A class of leaves: its first leaf tells the last.
    private func range(_ first: UInt32, through last: UInt32) -> Entry {
        Entry(leaf: first, result: CPUIDResult(eax: last, ebx: 0x5a))
    }

    /// Basic leaves to 0xb, extended ones to 0x80000008, with gaps.
    private func sample(_ vendor: String) -> [Entry] {
        [
            leaf0(0xb, vendor), entry(1), entry(4, 0), entry(4, 1), entry(0xb, 0), entry(0xb, 1),
            range(0x8000_0000, through: 0x8000_0008), entry(0x8000_0001),
        ]
    }

    private func check(
        _ entries: [Entry], _ leaf: UInt32, _ subleaf: UInt32, _ expected: CPUIDResult, line: UInt = #line
    ) {
        let name = "leaf 0x\(String(leaf, radix: 16)), subleaf \(subleaf)"
        let table = CPUIDTable(entries: entries)
        XCTAssertEqual(table.lookUp(leaf: leaf, subleaf: subleaf), expected, name, line: line)
        let buffer = KernelCPUIDBuffer(capacity: entries.count)
        for (index, entry) in entries.enumerated() { buffer.set(index, entry.kernelEntry) }
        XCTAssertEqual(buffer.lookUp(leaf: leaf, subleaf: subleaf), expected, "\(name), kernel's", line: line)
    }

    private func check(_ entries: [Entry], _ leaf: UInt32, _ expected: CPUIDResult, line: UInt = #line) {
        check(entries, leaf, 0, expected, line: line)
    }

    func testEntries() {
        for vendor in [Self.vendors.intel, Self.vendors.amd] {
            let entries = sample(vendor)
            for subleaf: UInt32 in [0, 1, .max] { check(entries, 1, subleaf, answer(1)) }
            check(entries, 4, 0, answer(4, 0))
            check(entries, 4, 1, answer(4, 1))
            check(entries, 4, 2, CPUIDResult())
            check(entries, 0x8000_0001, 7, answer(0x8000_0001))
            // In range, without an entry.
            for leaf: UInt32 in [2, 0xa, 0x8000_0002, 0x8000_0008] { check(entries, leaf, CPUIDResult()) }
        }
    }

    /// The highest basic leaf answers, for the subleaf that was asked for.
    func testOutOfRangeOnIntel() {
        let entries = sample(Self.vendors.intel)
        for leaf: UInt32 in [
            0xc, 0x3fff_ffff, 0x4000_0000, 0x4fff_ffff, 0x5000_0000, 0x7fff_ffff, 0x8000_0009, 0xbfff_ffff, 0xc000_0000,
            .max,
        ] {
            check(entries, leaf, 0, answer(0xb, 0))
            check(entries, leaf, 1, answer(0xb, 1))
            check(entries, leaf, 0x102, CPUIDResult(ecx: 2, edx: 0xd1))
        }
    }

    func testOutOfRangeOnAMD() {
        for vendor in [Self.vendors.amd, Self.vendors.oldAMD, Self.vendors.hygon] {
            for leaf: UInt32 in [0xc, 0x4000_0000, 0x8000_0009, 0xc000_0000, .max] {
                for subleaf: UInt32 in [0, 1, 2] { check(sample(vendor), leaf, subleaf, CPUIDResult()) }
            }
        }
        // All three registers make the vendor.
        for vendor in ["AuthenticIMD", "HuthenticAMD", "AuthentikAMD", "AuthGenuineAMD", "GenuineIntel"] {
            check(sample(vendor), 0xc, 1, answer(0xb, 1))
        }
    }

    /// Each 256 leaves from 0x40000000 to 0x4FFFFFFF are a class of their own.
    func testHypervisorLeaves() {
        let entries =
            sample(Self.vendors.intel) + [
                range(0x4000_0000, through: 0x4000_0001), entry(0x4000_0001), range(0x4000_0100, through: 0x4000_0105),
                range(0x4fff_ff00, through: 0x4fff_fffe), range(0x5000_0000, through: 0x5000_00ff),
            ]
        check(entries, 0x4000_0000, CPUIDResult(eax: 0x4000_0001, ebx: 0x5a))
        check(entries, 0x4000_0001, answer(0x4000_0001))
        for leaf: UInt32 in [0x4000_0101, 0x4000_0105, 0x4fff_fffe] { check(entries, leaf, CPUIDResult()) }
        for leaf: UInt32 in [0x4000_0002, 0x4000_00ff, 0x4000_0106, 0x4000_0200, 0x4000_0201, 0x4fff_ffff] {
            check(entries, leaf, answer(0xb))
        }
        // From 0x50000000 on it is as for basic leaves.
        check(entries, 0x5000_0000, CPUIDResult(eax: 0x5000_00ff, ebx: 0x5a))
        check(entries, 0x5000_0001, answer(0xb))
    }

    func testExtendedAndCentaurLeaves() {
        let entries =
            sample(Self.vendors.intel) + [range(0xc000_0000, through: 0xc000_0004), entry(0xc000_0001)]
        check(entries, 0xc000_0001, answer(0xc000_0001))
        for leaf: UInt32 in [0xc000_0002, 0xc000_0004] { check(entries, leaf, CPUIDResult()) }
        for leaf: UInt32 in [0xc000_0005, .max, 0x8000_0009, 0xbfff_ffff] { check(entries, leaf, answer(0xb)) }
        let none = sample(Self.vendors.intel).filter { $0.leaf < 0x8000_0000 }
        for leaf: UInt32 in [0x8000_0000, 0x8000_0001] { check(none, leaf, answer(0xb)) }
    }

    func testTheHighestBasicLeaf() {
        let unindexed = [leaf0(0x16), entry(0x16)]
        for subleaf: UInt32 in [0, 9] { check(unindexed, 0x17, subleaf, answer(0x16)) }
        let missing = [leaf0(0x16), entry(1)]
        check(missing, 0x17, CPUIDResult())
        check(missing, 0x8000_0000, CPUIDResult())
        // Leaf 0 may be the highest itself.
        check([leaf0(0)], 1, leaf0(0).result)
    }

    func testWithoutLeaf0() {
        for entries in [[], [entry(1)]] {
            for leaf: UInt32 in [0, 2, 0x4000_0000, 0x8000_0000] { check(entries, leaf, CPUIDResult()) }
        }
        check([entry(1)], 1, answer(1))
    }

    /// CL is passed through, and EDX is the x2APIC id of subleaf 1, where the leaf is there at all.
    func testTopologyOfUndefinedSubleaves() {
        for vendor in [Self.vendors.intel, Self.vendors.amd] {
            for leaf: UInt32 in [0xb, 0x1f] {
                let entries = [leaf0(0x20, vendor), entry(leaf, 0), entry(leaf, 1)]
                check(entries, leaf, 0, answer(leaf, 0))
                check(entries, leaf, 1, answer(leaf, 1))
                for (subleaf, ecx): (UInt32, UInt32) in [(2, 2), (0xff, 0xff), (0x100, 0), (0x101, 1), (.max, 0xff)] {
                    check(entries, leaf, subleaf, CPUIDResult(ecx: ecx, edx: 0xd1))
                }
                check([leaf0(0x20, vendor), entry(leaf, 0)], leaf, 2, CPUIDResult())
                check([leaf0(0x20, vendor)], leaf, 0, CPUIDResult())
            }
            // No other leaf is treated so.
            check([leaf0(0x20, vendor), entry(0xd, 0), entry(0xd, 1)], 0xd, 2, CPUIDResult())
        }
    }

    /// What KVM_SET_CPUID2 is handed.
    func testKernelTable() {
        let entries = [entry(1), entry(4, 0), entry(4, 3)]
        CPUIDTable(entries: entries).withKernelTable { table in
            XCTAssertEqual(table.pointee.nent, 3)
            for (index, entry) in entries.enumerated() {
                let kernelEntry = ckvm_cpuid_entries(table)[index]
                XCTAssertEqual(kernelEntry.function, entry.leaf)
                XCTAssertEqual(kernelEntry.flags, index == 0 ? 0 : 1, "KVM_CPUID_FLAG_SIGNIFCANT_INDEX")
                XCTAssertEqual(kernelEntry.index, [0, 0, 3][index])
                XCTAssertEqual(CPUIDTable.Entry(kernelEntry), entry)
            }
        }
    }
}
