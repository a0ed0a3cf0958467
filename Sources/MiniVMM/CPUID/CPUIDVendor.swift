/// Who made the processor that a CPUID table describes.
enum CPUIDVendor {
    private static let authenticAMD = CPUIDResult(ebx: 0x6874_7541, ecx: 0x444d_4163, edx: 0x6974_6e65)
    private static let amdIsBetter = CPUIDResult(ebx: 0x6944_4d41, ecx: 0x2172_6574, edx: 0x7465_6273)
    private static let hygonGenuine = CPUIDResult(ebx: 0x6f67_7948, ecx: 0x656e_6975, edx: 0x6e65_476e)

    /// Whether leaf 0 has the vendor string of AMD or Hygon. Source: arch/x86/kvm/cpuid.h; AMD APM, volume 3, CPUID.
    static func isAMDCompatible(_ basic: CPUIDResult) -> Bool {
        let vendor = CPUIDResult(ebx: basic.ebx, ecx: basic.ecx, edx: basic.edx)
        return vendor == authenticAMD || vendor == amdIsBetter || vendor == hygonGenuine
    }
}
