public import CKVM
public import Memory

/// Why KVM_RUN returned: the run page, decoded. Every exit reason of KVM on x86 has a case.
///
/// An exit borrows from the run page of its vCPU: what it points to is valid until the vCPU runs again.
///
/// Source: Linux, Documentation/virt/kvm/api.rst, "The kvm_run structure"; include/uapi/linux/kvm.h.
public enum Exit {
    /// IN, INS (KVM_EXIT_IO).
    case portIn(PortAccess)
    /// OUT, OUTS (KVM_EXIT_IO).
    case portOut(PortAccess)
    /// A read from an address without memory (KVM_EXIT_MMIO).
    case mmioRead(MMIOAccess)
    /// A write to an address without memory (KVM_EXIT_MMIO).
    case mmioWrite(MMIOAccess)
    /// HLT, where no interrupt controller of KVM takes it (KVM_EXIT_HLT).
    case hlt
    /// A breakpoint or a single step: linear address of the instruction, and DR6 (KVM_EXIT_DEBUG).
    case debug(pc: UInt64, dr6: UInt64)
    /// RDMSR of an MSR left to this process (KVM_EXIT_X86_RDMSR).
    case rdmsr(index: UInt32)
    /// WRMSR of an MSR left to this process (KVM_EXIT_X86_WRMSR).
    case wrmsr(index: UInt32, value: UInt64)
    /// VMCALL or VMMCALL left to this process (KVM_EXIT_HYPERCALL).
    case hypercall(number: UInt64)
    /// A triple fault (KVM_EXIT_SHUTDOWN).
    case shutdown
    /// The processor refuses to enter the guest (KVM_EXIT_FAIL_ENTRY).
    case failEntry(hardwareReason: UInt64)
    /// KVM cannot go on (KVM_EXIT_INTERNAL_ERROR).
    case internalError(suberror: UInt32)
    /// An exit that KVM does not know (KVM_EXIT_UNKNOWN).
    case unknown(hardwareReason: UInt64)
    /// An exception left to this process (KVM_EXIT_EXCEPTION).
    case exception(vector: UInt32)
    /// The guest can take an interrupt now (KVM_EXIT_IRQ_WINDOW_OPEN).
    case irqWindowOpen
    /// A signal ended KVM_RUN (KVM_EXIT_INTR).
    case interrupted
    /// The guest lowered its task priority (KVM_EXIT_SET_TPR).
    case setTPR
    /// The guest touched its task priority register (KVM_EXIT_TPR_ACCESS).
    case tprAccess
    /// A non-maskable interrupt (KVM_EXIT_NMI).
    case nmi
    /// The guest asks for shutdown, reset or the like through a paravirtual interface (KVM_EXIT_SYSTEM_EVENT).
    case systemEvent(type: UInt32)
    /// An end of interrupt for an IOAPIC of this process (KVM_EXIT_IOAPIC_EOI).
    case ioapicEOI
    /// A Hyper-V hypercall or synthetic interrupt (KVM_EXIT_HYPERV).
    case hyperV
    /// The ring of dirty pages is full (KVM_EXIT_DIRTY_RING_FULL).
    case dirtyRingFull
    /// An SEV-ES guest holds a processor in reset (KVM_EXIT_AP_RESET_HOLD).
    case apResetHold
    /// A locked access across cache lines (KVM_EXIT_X86_BUS_LOCK).
    case busLock
    /// A Xen hypercall (KVM_EXIT_XEN).
    case xen
    /// The guest held off interrupts for too long (KVM_EXIT_NOTIFY).
    case notify
    /// An access to guest memory that this process has to resolve (KVM_EXIT_MEMORY_FAULT).
    case memoryFault
    /// A call of a TDX guest (KVM_EXIT_TDX).
    case tdx
    /// A reason that this version does not know, or that belongs to another architecture.
    case other(reason: UInt32)
}

extension Exit {
    /// Decodes a vCPU's run page.
    @inlinable
    @inline(__always)
    package init(of vcpu: borrowing VCPU) {
        let run = unsafe vcpu.runPage
        switch unsafe Int32(truncatingIfNeeded: run.pointee.exit_reason) {
        case KVM_EXIT_IO: self = unsafe Self.decodeIO(run, pageSize: vcpu.runPageSize)
        case KVM_EXIT_MMIO: self = unsafe Self.decodeMMIO(run)
        case KVM_EXIT_HLT: self = .hlt
        default: self = unsafe Self.decodeRare(run)
        }
    }

    @inlinable
    @inline(__always)
    static func decodeIO(_ run: UnsafeMutablePointer<kvm_run>, pageSize: Int) -> Exit {
        let io = unsafe ckvm_exit_io(run)
        // Both pointers are into the run page. Its numbers are the kernel's; they are checked all the same, because
        // pointers are made of them. As unsigned numbers none overflows: a 32-bit count times an 8-bit size.
        let offset = unsafe UInt(bitPattern: io.data) &- UInt(bitPattern: run)
        let pageSize = UInt(bitPattern: pageSize)
        let byteCount = unsafe UInt(io.count) &* UInt(io.size)
        guard offset <= pageSize, byteCount <= pageSize &- offset, byteCount > 0,
            let width = unsafe AccessWidth(rawValue: Int(io.size)), width != .quad
        else { return .other(reason: UInt32(KVM_EXIT_IO)) }
        let access = unsafe PortAccess(
            port: io.port, width: width, count: Int(io.count), data: UnsafeMutableRawPointer(io.data))
        return unsafe io.is_out ? .portOut(access) : .portIn(access)
    }

    /// The exit in a vCPU's run page, if it is port I/O of one byte, as nearly all is: what ``init(of:)`` says as well, but
    /// with a width and a count that the compiler knows, so that nobody asks for them later.
    ///
    /// - Returns: The access, and whether it is an OUT; nil for any other exit.
    @inlinable
    @inline(__always)
    package static func portByte(of vcpu: borrowing VCPU) -> (access: PortAccess, isOut: Bool)? {
        let run = unsafe vcpu.runPage
        // The place of the byte is checked as for any number of them.
        guard unsafe ckvm_is_io_byte(run, vcpu.runPageSize) else { return nil }
        let access = unsafe PortAccess(
            port: ckvm_io_port(run), width: .byte, count: 1, data: UnsafeMutableRawPointer(ckvm_io_data(run)))
        return unsafe (access, ckvm_io_is_out(run))
    }

    @inlinable
    @inline(__always)
    static func decodeMMIO(_ run: UnsafeMutablePointer<kvm_run>) -> Exit {
        let mmio = unsafe ckvm_exit_mmio(run)
        guard unsafe mmio.size >= 1, unsafe mmio.size <= 8 else { return .other(reason: UInt32(KVM_EXIT_MMIO)) }
        let access = unsafe MMIOAccess(
            address: GuestPhysicalAddress(mmio.address), byteCount: Int(mmio.size), data: mmio.data)
        return unsafe mmio.is_write ? .mmioWrite(access) : .mmioRead(access)
    }

    /// All that a guest does not do thousands of times a second.
    @usableFromInline
    static func decodeRare(_ run: UnsafeMutablePointer<kvm_run>) -> Exit {
        let reason = unsafe run.pointee.exit_reason
        switch Int32(truncatingIfNeeded: reason) {
        case KVM_EXIT_DEBUG:
            let debug = unsafe ckvm_exit_debug(run)
            return .debug(pc: debug.pc, dr6: debug.dr6)
        case KVM_EXIT_X86_RDMSR: return unsafe .rdmsr(index: ckvm_exit_msr(run).index)
        case KVM_EXIT_X86_WRMSR:
            let msr = unsafe ckvm_exit_msr(run)
            return .wrmsr(index: msr.index, value: msr.data)
        case KVM_EXIT_HYPERCALL: return unsafe .hypercall(number: ckvm_exit_hypercall_number(run))
        case KVM_EXIT_FAIL_ENTRY: return unsafe .failEntry(hardwareReason: ckvm_exit_entry_failure_reason(run))
        case KVM_EXIT_INTERNAL_ERROR: return unsafe .internalError(suberror: ckvm_exit_internal_error(run).suberror)
        case KVM_EXIT_UNKNOWN: return unsafe .unknown(hardwareReason: ckvm_exit_hardware_reason(run))
        case KVM_EXIT_EXCEPTION: return unsafe .exception(vector: ckvm_exit_exception_vector(run))
        case KVM_EXIT_SYSTEM_EVENT: return unsafe .systemEvent(type: ckvm_exit_system_event_type(run))
        default: return decodePlain(reason)
        }
    }

    /// The exits that carry nothing that MiniVMM looks at.
    @usableFromInline
    static func decodePlain(_ reason: UInt32) -> Exit {
        switch Int32(truncatingIfNeeded: reason) {
        case KVM_EXIT_SHUTDOWN: .shutdown
        case KVM_EXIT_IRQ_WINDOW_OPEN: .irqWindowOpen
        case KVM_EXIT_INTR: .interrupted
        case KVM_EXIT_SET_TPR: .setTPR
        case KVM_EXIT_TPR_ACCESS: .tprAccess
        case KVM_EXIT_NMI: .nmi
        case KVM_EXIT_IOAPIC_EOI: .ioapicEOI
        case KVM_EXIT_HYPERV: .hyperV
        case KVM_EXIT_DIRTY_RING_FULL: .dirtyRingFull
        case KVM_EXIT_AP_RESET_HOLD: .apResetHold
        case KVM_EXIT_X86_BUS_LOCK: .busLock
        case KVM_EXIT_XEN: .xen
        case KVM_EXIT_NOTIFY: .notify
        case KVM_EXIT_MEMORY_FAULT: .memoryFault
        case KVM_EXIT_TDX: .tdx
        default: .other(reason: reason)
        }
    }
}

/// A port I/O exit: one IN or OUT, or a run of items of one INS or OUTS.
// Safe to use: the items were checked to lie in the run page, and every index is checked; the exit is lent, and so is
// the page.
@safe
public struct PortAccess {
    /// The port.
    public let port: UInt16
    /// Bytes of an item: 1, 2 or 4.
    public let width: AccessWidth
    /// The number of items, at least 1; more for string instructions with a repeat prefix.
    public let count: Int
    /// The items, one after another in the run page. What was written stands there; what is read goes there.
    ///
    /// Valid until the vCPU runs again.
    @usableFromInline
    package let data: UnsafeMutableRawPointer

    @inlinable
    init(port: UInt16, width: AccessWidth, count: Int, data: UnsafeMutableRawPointer) {
        self.port = port
        self.width = width
        self.count = count
        unsafe self.data = unsafe data
    }

    /// Whether it is one byte, as nearly all are.
    @inlinable
    @inline(__always)
    package var isByte: Bool { width == .byte && count == 1 }

    /// The first byte of the first item: what was written, or the place for what is read.
    @inlinable
    @inline(__always)
    package var byte: UInt8 {
        // Sound: there is at least one item, which `Exit` has checked to lie in the run page.
        get { unsafe data.load(as: UInt8.self) }
        nonmutating set { unsafe data.storeBytes(of: newValue, as: UInt8.self) }
    }

    /// The item with the given number, in the low bytes. There must be one.
    @inlinable
    @inline(__always)
    public func item(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index < count, "no such item")
        let address = unsafe data + index &* width.rawValue
        // Sound: `Exit` has checked that `count` items of this width lie in the run page, and index < count.
        return switch width {
        case .byte: unsafe UInt32(address.load(as: UInt8.self))
        case .word: unsafe UInt32(UInt16(littleEndian: address.loadUnaligned(as: UInt16.self)))
        case .long, .quad: unsafe UInt32(littleEndian: address.loadUnaligned(as: UInt32.self))
        }
    }

    /// Answers the item with the given number from the low bytes of a value. There must be one.
    @inlinable
    @inline(__always)
    public func setItem(_ index: Int, _ value: UInt32) {
        precondition(index >= 0 && index < count, "no such item")
        let address = unsafe data + index &* width.rawValue
        // Sound: as for reading.
        switch width {
        case .byte: unsafe address.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case .word: unsafe address.storeBytes(of: UInt16(truncatingIfNeeded: value).littleEndian, as: UInt16.self)
        case .long, .quad: unsafe address.storeBytes(of: value.littleEndian, as: UInt32.self)
        }
    }
}

/// An MMIO exit: one access to a physical address without memory.
// Safe to use: the run page has eight bytes there; the exit is lent, and so is the page.
@safe
public struct MMIOAccess {
    /// The address.
    public let address: GuestPhysicalAddress
    /// Bytes, 1 to 8. KVM splits longer accesses, and some instructions give sizes between.
    public let byteCount: Int
    /// The bytes, little-endian, in the run page. What was written stands there; what is read goes there.
    ///
    /// Valid until the vCPU runs again.
    @usableFromInline
    package let data: UnsafeMutableRawPointer

    @inlinable
    init(address: GuestPhysicalAddress, byteCount: Int, data: UnsafeMutableRawPointer) {
        self.address = address
        self.byteCount = byteCount
        unsafe self.data = unsafe data
    }

    /// The width, where the access has one that devices know.
    @inlinable
    @inline(__always)
    public var width: AccessWidth? { AccessWidth(rawValue: byteCount) }

    /// The bytes as a number.
    @inlinable
    @inline(__always)
    public var value: UInt64 {
        // Sound: the run page keeps eight bytes for MMIO data, whatever the length; those past it are masked out.
        let word = unsafe UInt64(littleEndian: data.loadUnaligned(as: UInt64.self))
        return word & (UInt64.max >> UInt64(64 &- 8 &* byteCount))
    }

    /// Answers a read.
    @inlinable
    @inline(__always)
    public func setValue(_ value: UInt64) {
        // Sound: as for reading; KVM takes the low byteCount bytes only.
        unsafe data.storeBytes(of: value.littleEndian, as: UInt64.self)
    }
}
