/// The leaves that MiniVMM itself looks at. Source: Intel SDM, volume 2, CPUID; AMD APM, volume 3, CPUID.
enum CPUIDLeaf {
    static let features: UInt32 = 1
    /// Leaf 1, ECX bit 24: the timer of the local APIC can be set to a value of the time-stamp counter.
    static let deadlineTimerBit: UInt32 = 1 << 24
    /// Leaf 1, ECX bit 31: a hypervisor is present.
    static let hypervisorBit: UInt32 = 1 << 31
    static let cacheParameters: UInt32 = 4
    static let extendedTopology: UInt32 = 0xb
    static let extendedTopologyV2: UInt32 = 0x1f
    static let extendedMaximum: UInt32 = 0x8000_0000
    static let extendedFeatures: UInt32 = 0x8000_0001
    static let powerManagement: UInt32 = 0x8000_0007
    /// Leaf 0x80000007, EDX bit 8: the time-stamp counter runs at a constant rate in all power states.
    static let invariantTSCBit: UInt32 = 1 << 8
    static let addressSizes: UInt32 = 0x8000_0008
    static let cacheProperties: UInt32 = 0x8000_001d
    static let processorIdentifiers: UInt32 = 0x8000_001e
    static let extendedTopologyAMD: UInt32 = 0x8000_0026
}
