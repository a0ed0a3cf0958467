import CKVM
import Host

/// The x87 and SSE registers of a vCPU, as KVM_GET_FPU gives them.
///
/// They are kept as the bytes of `struct kvm_fpu`: nobody but a debugger looks into them. Source: Linux,
/// arch/x86/include/uapi/asm/kvm.h; the layout is that of FXSAVE's parts, Intel SDM, volume 1.
package struct FloatingPointState: Hashable, Sendable {
    /// The bytes of `struct kvm_fpu`.
    package var bytes: [UInt8]

    /// How many bytes there are.
    package static let size = MemoryLayout<kvm_fpu>.size

    /// Where the parts are, in bytes from the start.
    package enum Offset {
        /// Eight registers of 16 bytes, of which ten are used.
        package static let registers = 0
        /// FCW, 2 bytes.
        package static let controlWord = 128
        /// FSW, 2 bytes.
        package static let statusWord = 130
        /// The abridged tag word, one byte: a bit a register, set when it is in use.
        package static let abridgedTag = 132
        /// The last opcode, 2 bytes.
        package static let lastOpcode = 134
        /// The last instruction's address, 8 bytes.
        package static let lastInstruction = 136
        /// The last operand's address, 8 bytes.
        package static let lastOperand = 144
        /// Sixteen registers of 16 bytes.
        package static let xmm = 152
        /// MXCSR, 4 bytes.
        package static let mxcsr = 408
    }

    /// All zero.
    package init() {
        bytes = [UInt8](repeating: 0, count: Self.size)
    }
}

extension VCPU {
    /// The x87 and SSE registers (KVM_GET_FPU).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func floatingPointState() throws(KVMError) -> FloatingPointState {
        var fpu = kvm_fpu()
        try unsafe check("KVM_GET_FPU", ckvm_get_fpu(descriptor.number, &fpu))
        var state = FloatingPointState()
        // Sound: the bytes are as many as the structure's, which has no pointers in it.
        unsafe withUnsafeBytes(of: &fpu) { unsafe state.bytes = [UInt8]($0) }
        return state
    }

    /// Sets the x87 and SSE registers (KVM_SET_FPU).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func setFloatingPointState(_ state: FloatingPointState) throws(KVMError) {
        var fpu = kvm_fpu()
        // Sound: copyBytes takes no more than fit, and any bits are valid.
        unsafe withUnsafeMutableBytes(of: &fpu) { unsafe $0.copyBytes(from: state.bytes.prefix($0.count)) }
        try unsafe check("KVM_SET_FPU", ckvm_set_fpu(descriptor.number, &fpu))
    }
}
