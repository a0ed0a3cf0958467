import CKVM
package import Host
package import Memory

extension VirtualMachine {
    /// Has a bell ring at each write of the guest of 32 bits to an address, in place of an exit to this process. The bell
    /// lasts as long as the machine.
    ///
    /// Source: Documentation/virt/kvm/api.rst, KVM_IOEVENTFD.
    ///
    /// - Parameter value: The value at which it rings, while other writes stay exits; nil for any.
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func ring(
        _ bell: Doorbell, atWritesTo address: GuestPhysicalAddress, of value: UInt32? = nil
    ) throws(KVMError) {
        var argument = kvm_ioeventfd()
        argument.addr = address.rawValue
        argument.len = UInt32(MemoryLayout<UInt32>.size)
        argument.fd = bell.descriptor
        if let value {
            argument.datamatch = UInt64(value)
            argument.flags = ckvm_ioeventfd_datamatch
        }
        try unsafe check("KVM_IOEVENTFD", ckvm_set_ioeventfd(descriptor.number, &argument))
    }

    /// Has an interrupt line rise and fall at each ring of a bell, which lasts as long as the machine.
    ///
    /// Source: Documentation/virt/kvm/api.rst, KVM_IRQFD.
    ///
    /// - Parameter line: The global system interrupt, 0 to 23.
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func pulse(_ line: UInt32, atRingsOf bell: Doorbell) throws(KVMError) {
        var argument = kvm_irqfd()
        argument.fd = UInt32(bitPattern: bell.descriptor)
        argument.gsi = line
        try unsafe check("KVM_IRQFD", ckvm_set_irqfd(descriptor.number, &argument))
    }
}
