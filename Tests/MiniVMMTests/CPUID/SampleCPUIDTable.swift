@testable import KVM
@testable import TestSupport

/// What KVM may report as supported, as far as it speaks of the topology: made up, with all that must not reach a
/// guest set to something that would be seen.
enum SampleCPUIDTable {
    /// A package of 32 processors with two threads a core, as an Intel host has it.
    static let intel = CPUIDTable(
        entries: [
            .init(leaf: 0, result: CPUIDResult(eax: 0x1f, ebx: 0x756e_6547, ecx: 0x6c65_746e, edx: 0x4965_6e69)),
            .init(leaf: 1, result: CPUIDResult(eax: 0xc06f1, ebx: 0x1520_0805, ecx: 0x7ffa_3203, edx: 0x1f8b_fbff)),
            .init(leaf: 4, subleaf: 0, result: CPUIDResult(eax: 0x7c00_4121, ebx: 0x02c0_003f, ecx: 0x3f)),
            .init(leaf: 4, subleaf: 1, result: CPUIDResult(eax: 0x7c00_4122, ebx: 0x01c0_003f, ecx: 0x3f)),
            .init(leaf: 4, subleaf: 2, result: CPUIDResult(eax: 0x7c00_4143, ebx: 0x03c0_003f, ecx: 0x7ff)),
            .init(leaf: 4, subleaf: 3, result: CPUIDResult(eax: 0x7c07_c163, ebx: 0x0380_003f, ecx: 0x1_bfff, edx: 4)),
            .init(leaf: 4, subleaf: 4, result: CPUIDResult()),
            .init(leaf: 0xb, subleaf: 0, result: CPUIDResult(eax: 1, ebx: 2, ecx: 0x100, edx: 0x15)),
            .init(leaf: 0xb, subleaf: 1, result: CPUIDResult(eax: 5, ebx: 32, ecx: 0x201, edx: 0x15)),
            .init(leaf: 0x1f, subleaf: 0, result: CPUIDResult(eax: 1, ebx: 2, ecx: 0x100, edx: 0x15)),
            .init(leaf: 0x1f, subleaf: 1, result: CPUIDResult(eax: 4, ebx: 16, ecx: 0x201, edx: 0x15)),
            .init(leaf: 0x1f, subleaf: 2, result: CPUIDResult(eax: 5, ebx: 32, ecx: 0x502, edx: 0x15)),
            .init(leaf: 0x8000_0000, result: CPUIDResult(eax: 0x8000_0008)),
            .init(leaf: 0x8000_0001, result: CPUIDResult(ecx: 0x121, edx: 0x2c10_0800)),
            .init(leaf: 0x8000_0008, result: CPUIDResult(eax: 0x3039, ebx: 0x200)),
        ])

    /// A package of 24 processors with two threads a core, in two nodes, as an AMD host has it.
    static let amd = CPUIDTable(
        entries: [
            .init(leaf: 0, result: CPUIDResult(eax: 0x10, ebx: 0x6874_7541, ecx: 0x444d_4163, edx: 0x6974_6e65)),
            .init(leaf: 1, result: CPUIDResult(eax: 0xa00f11, ebx: 0x0718_0800, ecx: 0x7ef8_320b, edx: 0x178b_fbff)),
            .init(leaf: 0xb, subleaf: 0, result: CPUIDResult(eax: 1, ebx: 2, ecx: 0x100, edx: 7)),
            .init(leaf: 0xb, subleaf: 1, result: CPUIDResult(eax: 7, ebx: 24, ecx: 0x201, edx: 7)),
            .init(leaf: 0x8000_0000, result: CPUIDResult(eax: 0x8000_0026)),
            .init(leaf: 0x8000_0001, result: CPUIDResult(eax: 0xa00f11, ecx: 0x0040_01f3, edx: 0x2fd3_fbff)),
            .init(leaf: 0x8000_0008, result: CPUIDResult(eax: 0x3030, ebx: 0x111e_f657, ecx: 0x1_5017)),
            .init(leaf: 0x8000_001d, subleaf: 0, result: CPUIDResult(eax: 0x4121, ebx: 0x01c0_003f, ecx: 0x3f)),
            .init(leaf: 0x8000_001d, subleaf: 1, result: CPUIDResult(eax: 0x4122, ebx: 0x01c0_003f, ecx: 0x3f)),
            .init(leaf: 0x8000_001d, subleaf: 2, result: CPUIDResult(eax: 0x4143, ebx: 0x01c0_003f, ecx: 0x3ff)),
            .init(leaf: 0x8000_001d, subleaf: 3, result: CPUIDResult(eax: 0x2_c163, ebx: 0x03c0_003f, ecx: 0x7fff)),
            .init(leaf: 0x8000_001d, subleaf: 4, result: CPUIDResult()),
            .init(leaf: 0x8000_001e, result: CPUIDResult(eax: 7, ebx: 0x103, ecx: 0x101)),
            .init(leaf: 0x8000_0026, subleaf: 0, result: CPUIDResult(eax: 1, ebx: 2, ecx: 0x100, edx: 7)),
            .init(leaf: 0x8000_0026, subleaf: 1, result: CPUIDResult(eax: 7, ebx: 24, ecx: 0x201, edx: 7)),
        ])
}
