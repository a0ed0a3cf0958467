/// What the leaves of CPUID are about, in words.
///
/// Source: Intel SDM, volume 2, "CPUID"; AMD APM, volume 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst.
package enum LeafNames {
    /// What a leaf is about, or nil where it is not known here.
    package static func name(of leaf: UInt32) -> String? {
        if let name = names[leaf] { return name }
        return (0x4fff_fffc...0x4fff_ffff).contains(leaf) ? "exit counters" : nil
    }

    private static let names: [UInt32: String] = [
        0x00: "highest leaf, vendor", 0x01: "version, features", 0x02: "cache descriptors", 0x03: "serial number",
        0x04: "cache parameters", 0x05: "MONITOR/MWAIT", 0x06: "thermal and power", 0x07: "extended features",
        0x09: "direct cache access", 0x0a: "performance monitoring", 0x0b: "topology", 0x0d: "XSAVE state",
        0x0f: "resource monitoring", 0x10: "resource allocation", 0x12: "SGX", 0x14: "processor trace",
        0x15: "TSC and crystal clock", 0x16: "processor frequency", 0x17: "system-on-chip vendor",
        0x18: "TLB parameters", 0x19: "key locker", 0x1a: "hybrid information", 0x1b: "PCONFIG",
        0x1c: "last branch records", 0x1d: "tile information", 0x1e: "TMUL", 0x1f: "topology, version 2",
        0x20: "processor history reset", 0x23: "performance monitoring, extended", 0x24: "AVX10",
        0x4000_0000: "hypervisor's vendor", 0x4000_0001: "hypervisor's features", 0x4000_0010: "TSC and bus frequency",
        0x8000_0000: "highest extended leaf", 0x8000_0001: "extended features", 0x8000_0002: "brand string",
        0x8000_0003: "brand string", 0x8000_0004: "brand string", 0x8000_0005: "L1 caches and TLBs",
        0x8000_0006: "L2 caches and TLBs", 0x8000_0007: "power management, invariant TSC",
        0x8000_0008: "address sizes", 0x8000_000a: "SVM features", 0x8000_0019: "TLBs for 1 GiB pages",
        0x8000_001a: "performance hints", 0x8000_001b: "instruction-based sampling",
        0x8000_001c: "lightweight profiling", 0x8000_001d: "cache properties", 0x8000_001e: "topology",
        0x8000_001f: "memory encryption", 0x8000_0020: "quality of service", 0x8000_0021: "extended features 2",
        0x8000_0022: "performance monitoring, extended", 0x8000_0026: "topology, extended",
    ]
}
