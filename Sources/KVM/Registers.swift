import CKVM
public import Memory

/// The general registers, RIP and RFLAGS, as KVM_GET_REGS gives them.
///
/// It is laid out as `struct kvm_regs`. Source: Linux, arch/x86/include/uapi/asm/kvm.h.
public struct GeneralRegisters: Hashable, Sendable, BitwiseCopyable {
    /// The registers, by the names of the Intel SDM.
    public var rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp: UInt64
    /// The registers that 64-bit mode adds.
    public var r8, r9, r10, r11, r12, r13, r14, r15: UInt64
    /// The instruction pointer, an offset into CS.
    public var rip: UInt64
    /// The flags; bit 1 is always 1.
    public var rflags: UInt64

    /// All zero, but for the bit of RFLAGS that is always 1.
    public init() {
        (rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp) = (0, 0, 0, 0, 0, 0, 0, 0)
        (r8, r9, r10, r11, r12, r13, r14, r15) = (0, 0, 0, 0, 0, 0, 0, 0)
        (rip, rflags) = (0, RegisterBits.rflagsReserved)
    }
}

/// A segment register with its hidden part, as KVM_GET_SREGS gives it.
///
/// It is laid out as `struct kvm_segment`; the fields are those of a segment descriptor (Intel SDM, volume 3, "Segment
/// descriptors").
public struct SegmentRegister: Hashable, Sendable, BitwiseCopyable {
    /// The address at which the segment starts.
    public var base: UInt64 = 0
    /// The last offset in the segment, in bytes.
    public var limit: UInt32 = 0
    /// The visible part of the register.
    public var selector: UInt16 = 0
    /// The type, 4 bits.
    public var type: UInt8 = 0
    /// P, 0 or 1.
    public var present: UInt8 = 0
    /// DPL, 0 to 3.
    public var dpl: UInt8 = 0
    /// D/B, 0 or 1.
    public var db: UInt8 = 0
    /// S, 0 for a system segment.
    public var s: UInt8 = 0
    /// L, 1 for 64-bit code.
    public var l: UInt8 = 0
    /// G, 1 for a limit that was given in pages.
    public var g: UInt8 = 0
    /// AVL, 0 or 1.
    public var avl: UInt8 = 0
    /// 1 after a null selector was loaded.
    public var unusable: UInt8 = 0
    private var padding: UInt8 = 0

    /// All zero.
    public init() {}
}

/// GDTR or IDTR, as KVM_GET_SREGS gives it. It is laid out as `struct kvm_dtable`.
public struct DescriptorTableRegister: Hashable, Sendable, BitwiseCopyable {
    /// The linear address of the table.
    public var base: UInt64 = 0
    /// The last offset in the table, in bytes.
    public var limit: UInt16 = 0
    private var padding: (UInt16, UInt16, UInt16) = (0, 0, 0)

    /// All zero.
    public init() {}

    public static func == (left: Self, right: Self) -> Bool {
        left.base == right.base && left.limit == right.limit
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(base)
        hasher.combine(limit)
    }
}

/// The segment, control and descriptor-table registers, as KVM_GET_SREGS gives them.
///
/// There is no public way to make one from nothing: start with ``VCPU/specialRegisters()`` and change what is to be
/// different. It is laid out as `struct kvm_sregs`.
public struct SpecialRegisters: Hashable, Sendable, BitwiseCopyable {
    /// The segment registers, TR and LDTR.
    public var cs, ds, es, fs, gs, ss, tr, ldt: SegmentRegister
    /// GDTR and IDTR.
    public var gdt, idt: DescriptorTableRegister
    /// The control registers.
    public var cr0, cr2, cr3, cr4, cr8: UInt64
    /// IA32_EFER.
    public var efer: UInt64
    /// The base address of the local APIC, as IA32_APIC_BASE has it.
    public var apicBase: UInt64
    /// KVM's interrupt_bitmap: the external interrupt that is pending, a bit each.
    public var interruptBitmap: InterruptBitmap

    /// A bit for each of 256 vectors.
    public struct InterruptBitmap: Hashable, Sendable, BitwiseCopyable {
        /// Vectors 0 to 63, 64 to 127, 128 to 191, 192 to 255.
        public var word0, word1, word2, word3: UInt64
    }

    /// All zero, for tests.
    package init() {
        let segment = SegmentRegister()
        (cs, ds, es, fs, gs, ss, tr, ldt) = (segment, segment, segment, segment, segment, segment, segment, segment)
        (gdt, idt) = (DescriptorTableRegister(), DescriptorTableRegister())
        (cr0, cr2, cr3, cr4, cr8, efer, apicBase) = (0, 0, 0, 0, 0, 0, 0)
        interruptBitmap = InterruptBitmap(word0: 0, word1: 0, word2: 0, word3: 0)
    }

    /// Whether the processor runs 64-bit code.
    @inlinable
    public var isCode64Bit: Bool {
        efer & RegisterBits.eferLongModeActive != 0 && cs.l != 0
    }

    /// The page walk that these registers ask for.
    @inlinable
    public var pageWalk: PageWalk { PageWalk(cr0: cr0, cr3: cr3, cr4: cr4, efer: efer) }
}

extension GeneralRegisters {
    /// The linear address of the instruction pointer.
    ///
    /// 64-bit code ignores CS's base; all other code adds it modulo 2^32. Source: Intel SDM, volume 3, "Segment
    /// registers in IA-32e mode"; arch/x86/kvm/x86.c, kvm_get_linear_rip().
    ///
    /// - Parameter special: The special registers of the same moment.
    @inlinable
    public func linearInstructionPointer(_ special: SpecialRegisters) -> UInt64 {
        special.isCode64Bit ? rip : UInt64(UInt32(truncatingIfNeeded: special.cs.base &+ rip))
    }
}

// MARK: The kernel's structures

extension GeneralRegisters {
    /// What the kernel gave.
    @inline(__always)
    init(_ kernelValue: kvm_regs) {
        // Sound: the layout is that of `struct kvm_regs`, which a test compares, and any bits are valid.
        self = unsafe unsafeBitCast(kernelValue, to: GeneralRegisters.self)
    }

    /// The same for the kernel.
    @inline(__always)
    var kernelValue: kvm_regs {
        // Sound: as above.
        unsafe unsafeBitCast(self, to: kvm_regs.self)
    }
}

extension SpecialRegisters {
    /// What the kernel gave.
    @inline(__always)
    init(_ kernelValue: kvm_sregs) {
        // Sound: the layout is that of `struct kvm_sregs`, which a test compares, and any bits are valid.
        self = unsafe unsafeBitCast(kernelValue, to: SpecialRegisters.self)
    }

    /// The same for the kernel.
    @inline(__always)
    var kernelValue: kvm_sregs {
        // Sound: as above.
        unsafe unsafeBitCast(self, to: kvm_sregs.self)
    }
}

/// The model-specific registers that MiniVMM sets or watches. Source: Intel SDM, volume 4.
package enum ModelSpecificRegister {
    /// MSR_MISC_FEATURES_ENABLES.
    package static let miscFeaturesEnables: UInt32 = 0x140
    /// Bit 0 of MSR_MISC_FEATURES_ENABLES: CPUID raises #GP at privilege levels above 0.
    package static let cpuidFaulting: UInt64 = 1 << 0
    /// IA32_LSTAR: where SYSCALL of 64-bit programs leads to.
    package static let systemCallHandler: UInt32 = 0xc000_0082
}
