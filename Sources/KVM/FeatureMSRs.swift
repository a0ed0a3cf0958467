import CKVM
import Host

/// Model-specific registers that say what KVM offers to guests, as a processor's own say what it offers.
extension KVM {
    /// The numbers of those that there are (KVM_GET_MSR_FEATURE_INDEX_LIST).
    ///
    /// - Returns: None where KVM cannot tell: before Linux 4.17.
    /// - Throws: ``KVMError`` when the ioctl fails for another reason.
    package func featureMSRs() throws(KVMError) -> [UInt32] {
        guard value(of: .featureMSRs) != 0 else { return [] }
        // A count, and the numbers behind it.
        var list = [UInt32](repeating: 0, count: 1 + Self.maximumMSRCount)
        list[0] = UInt32(Self.maximumMSRCount)
        // Sound: the kernel writes no more numbers than the count says there is room for.
        let result = unsafe ckvm_get_msr_feature_index_list(descriptor.number, &list)
        guard result >= 0 else { throw .failed("KVM_GET_MSR_FEATURE_INDEX_LIST", result) }
        return Array(list.dropFirst().prefix(Int(list[0])))
    }

    /// The value of one of them (KVM_GET_MSRS on /dev/kvm).
    ///
    /// - Returns: nil when KVM has no such register.
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func featureMSR(_ index: UInt32) throws(KVMError) -> UInt64? {
        var value: UInt64 = 0
        // Sound: one value is written.
        let result = unsafe ckvm_get_feature_msr(descriptor.number, index, &value)
        guard result >= 0 else { throw .failed("KVM_GET_MSRS", result) }
        // The ioctl returns how many registers it read.
        return result == 1 ? value : nil
    }

    /// What KVM can do of machine checks besides the banks, in the bits of IA32_MCG_CAP (KVM_X86_GET_MCE_CAP_SUPPORTED);
    /// 0 where it does not tell.
    package var machineCheckCapabilities: UInt64 {
        var value: UInt64 = 0
        // Sound: one value is written.
        return unsafe ckvm_get_machine_check_capabilities(descriptor.number, &value) >= 0 ? value : 0
    }

    /// More than any KVM has.
    private static let maximumMSRCount = 512
}
