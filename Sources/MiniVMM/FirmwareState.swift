import Boot
import KVM
import Memory

/// The registers that a PC's firmware has set before it starts anything: what kinds of memory there are, fast string
/// instructions, and banks for machine checks.
///
/// A guest that finds them as they are after a reset takes all memory for uncacheable, and does without what depends on
/// it; Linux leaves its page attributes alone. Nothing here is an exit of the guest's.
struct FirmwareState {
    /// Source: Intel SDM, volume 3, "Memory type range registers (MTRRs)"; volume 4, "Model-specific registers".
    private enum Register {
        static let miscEnable: UInt32 = 0x1a0
        static let variableBase: UInt32 = 0x200
        static let variableMask: UInt32 = 0x201
        static let fixed64K: UInt32 = 0x250
        static let fixed16K: (UInt32, UInt32) = (0x258, 0x259)
        static let fixed4K: ClosedRange<UInt32> = 0x268...0x26f
        static let defaultType: UInt32 = 0x2ff
    }

    /// Eight ranges of one type: write-back, write-protected, uncacheable.
    private static let writeBack: UInt64 = 0x0606_0606_0606_0606
    private static let writeProtected: UInt64 = 0x0505_0505_0505_0505
    private static let uncacheable: UInt64 = 0
    /// Write-back; bits 10 and 11: the fixed ranges, and all ranges, count.
    private static let defaultType: UInt64 = 0xc06
    /// Bit 0 of IA32_MISC_ENABLE.
    private static let fastStrings: UInt64 = 1
    private static let isValid: UInt64 = 1 << 11

    /// IA32_MCG_CAP: how many banks, and of what else there may be that IA32_MCG_CTL is there, and that errors are told
    /// which software may recover from.
    private static let bankCount: UInt64 = 10
    private static let checkFeatures: UInt64 = 1 << 8 | 1 << 24

    /// The value of IA32_MCG_CAP; nil where KVM has no banks.
    private let machineChecks: UInt64?
    private let memoryTypes: [(index: UInt32, value: UInt64)]

    /// What is to be set, by what KVM supports.
    init(_ kvm: KVM, _ supported: CPUIDTable) {
        let banks = min(Self.bankCount, UInt64(max(0, kvm.value(of: .machineChecks))))
        machineChecks = banks == 0 ? nil : banks | kvm.machineCheckCapabilities & Self.checkFeatures
        // The hole for devices, from the end of low memory to 4 GiB.
        let hole = BootLayout.highMemory.rawValue - BootLayout.lowMemoryLimit.rawValue
        let mask = (1 << supported.physicalAddressBits) - hole
        memoryTypes =
            [
                (Register.fixed64K, Self.writeBack), (Register.fixed16K.0, Self.writeBack),
                (Register.fixed16K.1, Self.uncacheable),
            ] + Register.fixed4K.map { ($0, Self.writeProtected) } + [
                (Register.variableBase, BootLayout.lowMemoryLimit.rawValue),
                (Register.variableMask, mask | Self.isValid), (Register.defaultType, Self.defaultType),
            ]
    }

    /// Sets them, as far as this KVM has them.
    func set(_ vcpu: VCPU) throws(KVMError) {
        if let machineChecks { _ = vcpu.setUpMachineChecks(machineChecks) }
        if let flags = vcpu.modelSpecificRegister(Register.miscEnable), flags & Self.fastStrings == 0 {
            _ = try vcpu.setMSR(Register.miscEnable, flags | Self.fastStrings)
        }
        _ = try vcpu.setMSRs(memoryTypes)
    }
}
