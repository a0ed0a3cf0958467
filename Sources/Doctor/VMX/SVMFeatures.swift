/// What a processor with SVM offers: the counterpart of VMX's capability MSRs.
///
/// Source: AMD APM, volume 3, appendix E, "Function 8000_000Ah: SVM features".
package struct SVMFeatures: Hashable, Sendable {
    /// The revision of SVM.
    package let revision: UInt32
    /// How many address-space identifiers there are.
    package let identifierCount: UInt32
    /// The flags in EDX.
    package let flags: UInt32

    package init(eax: UInt32, ebx: UInt32, edx: UInt32) {
        revision = eax & 0xff
        identifierCount = ebx
        flags = edx
    }

    /// The features by bit, and whether they are there.
    package var features: [(bit: Int, name: String, isPresent: Bool)] {
        Self.names.map { ($0.bit, $0.name, flags >> UInt32($0.bit) & 1 == 1) }
    }

    private static let names: [(bit: Int, name: String)] = [
        (0, "Nested paging"), (1, "LBR virtualization"), (2, "SVM lock"), (3, "NRIP save"),
        (4, "MSR-based TSC rate control"), (5, "VMCB clean bits"), (6, "Flush by ASID"), (7, "Decode assists"),
        (10, "PAUSE intercept filter"), (12, "PAUSE filter threshold"), (13, "AVIC"),
        (15, "VMSAVE and VMLOAD virtualization"), (16, "Virtual GIF"), (17, "Guest mode execute trap"),
        (18, "AVIC in x2APIC mode"), (19, "Supervisor shadow stack restrictions"), (20, "SPEC_CTRL virtualization"),
        (21, "Read-only guest page tables"), (23, "Host machine-check override"),
        (24, "INVLPGB and TLBSYNC intercepts"), (25, "NMI virtualization"), (26, "IBS virtualization"),
    ]
}
