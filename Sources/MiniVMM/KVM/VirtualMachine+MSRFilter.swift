import CKVM

extension VirtualMachine {
    /// Lets the guest's reads and writes of one model-specific register exit to this process, and no others.
    ///
    /// Source: Documentation/virt/kvm/api.rst, KVM_CAP_X86_USER_SPACE_MSR and KVM_X86_SET_MSR_FILTER.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    func interceptMSR(_ index: UInt32) throws(KVMError) {
        var capability = kvm_enable_cap()
        capability.cap = UInt32(KVM_CAP_X86_USER_SPACE_MSR)
        capability.args.0 = UInt64(ckvm_msr_exit_reason_filter)
        try check("KVM_ENABLE_CAP(KVM_CAP_X86_USER_SPACE_MSR)", ckvm_enable_cap(descriptor.number, &capability))
        try check("KVM_X86_SET_MSR_FILTER", ckvm_intercept_msr(descriptor.number, index))
    }
}
