/// The model-specific registers that MiniVMM sets or watches. Source: Intel SDM, volume 4.
enum ModelSpecificRegister {
    /// MSR_MISC_FEATURES_ENABLES.
    static let miscFeaturesEnables: UInt32 = 0x140
    /// Bit 0 of MSR_MISC_FEATURES_ENABLES: CPUID raises #GP at privilege levels above 0.
    static let cpuidFaulting: UInt64 = 1 << 0
}
