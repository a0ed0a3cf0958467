import CKVM
import Host
package import KVM
public import Memory

/// How a guest died, for a death report.
public struct GuestDeath: Sendable {
    /// Why the guest cannot go on.
    public let cause: Cause
    /// The vCPU on which it happened.
    public let vcpu: Int
    /// The vCPU as it was then, where KVM still told.
    public let state: VCPUSnapshot?
    /// Whether KVM's emulator is known to run ring 0 on this host. It is asked for when an instruction could not be
    /// emulated.
    public var isRingZeroEmulated = false

    /// Why a guest cannot go on.
    public enum Cause: Hashable, Sendable {
        /// A triple fault.
        case tripleFault
        /// An exception whose vector nobody handles, and the address of the instruction that raised it; nil where it was
        /// pushed onto a stack outside memory, and is lost. Then it may have been an INT, too.
        case unhandledVector(UInt8, at: SegmentedAddress?)
        /// An INT whose vector nobody handles, and its address.
        case unhandledInterrupt(UInt8, at: SegmentedAddress)
        /// The guest went on where there is no memory, at this address.
        case codeOutsideMemory(at: GuestPhysicalAddress)
        /// An instruction that KVM cannot emulate, with its bytes where KVM gives them.
        case emulationFailure(instruction: [UInt8])
        /// KVM cannot go on for another reason. The numbers are those of KVM_INTERNAL_ERROR_….
        case internalError(suberror: UInt32)
        /// The processor refuses to enter the guest.
        case failEntry(hardwareReason: UInt64)
        /// The guest reports a crash of its own through a paravirtual interface.
        case crashEvent(type: UInt32)
        /// An exit whose reason this version does not know, or has no use for.
        case unexpectedExit(name: String, reason: UInt64)
    }

    /// The given values.
    package init(cause: Cause, vcpu: Int, state: VCPUSnapshot?, isRingZeroEmulated: Bool = false) {
        self.cause = cause
        self.vcpu = vcpu
        self.state = state
        self.isRingZeroEmulated = isRingZeroEmulated
    }
}

extension GuestDeath.Cause {
    /// What happened, in words.
    public var summary: String {
        switch self {
        case .tripleFault:
            "triple fault (KVM_EXIT_SHUTDOWN)"
        case .unhandledVector(let vector, let address):
            if let address {
                "unhandled interrupt vector \(Hex.byte(vector))\(Self.exceptionName(vector)) at \(address)"
            } else {
                "unhandled interrupt vector \(Hex.byte(vector)), with a stack outside memory"
            }
        case .unhandledInterrupt(let vector, let address):
            "unhandled INT \(Hex.byte(vector))\(Self.serviceName(vector)) at \(address)"
        case .codeOutsideMemory(let address):
            "the guest jumped to \(address), where there is no memory"
        case .emulationFailure(let instruction):
            "KVM cannot emulate an instruction (KVM_EXIT_INTERNAL_ERROR, suberror 1)"
                + (instruction.isEmpty ? "" : ", bytes \(Hex.bytes(instruction))")
        case .internalError(let suberror):
            "KVM cannot go on (KVM_EXIT_INTERNAL_ERROR, suberror \(suberror)\(Self.suberrorName(suberror)))"
        case .failEntry(let reason):
            "the processor refuses to enter the guest (KVM_EXIT_FAIL_ENTRY, hardware reason \(Hex.number(reason)))"
        case .crashEvent(let type):
            "the guest reports a crash (KVM_EXIT_SYSTEM_EVENT, type \(type))"
        case .unexpectedExit(let name, let reason):
            "exit \(name) (\(reason)) is not one that MiniVMM can serve"
        }
    }

    /// The name in the JSON format.
    public var name: String {
        switch self {
        case .tripleFault: "triple_fault"
        case .unhandledVector: "unhandled_vector"
        case .unhandledInterrupt: "unhandled_interrupt"
        case .codeOutsideMemory: "code_outside_memory"
        case .emulationFailure: "emulation_failure"
        case .internalError: "internal_error"
        case .failEntry: "fail_entry"
        case .crashEvent: "crash_event"
        case .unexpectedExit: "unexpected_exit"
        }
    }

    /// The mnemonic and name of an exception's vector. Source: Intel SDM, volume 3, "Exceptions and interrupts".
    private static func exceptionName(_ vector: UInt8) -> String {
        let names = [
            "#DE, divide error", "#DB, debug", "NMI", "#BP, breakpoint", "#OF, overflow", "#BR, bound range",
            "#UD, invalid opcode", "#NM, no FPU", "#DF, double fault", "", "#TS, invalid TSS",
            "#NP, segment not present", "#SS, stack fault", "#GP, general protection", "#PF, page fault", "",
            "#MF, FPU error", "#AC, alignment check", "#MC, machine check", "#XM, SIMD error",
        ]
        guard Int(vector) < names.count, !names[Int(vector)].isEmpty else { return "" }
        return " (\(names[Int(vector)]))"
    }

    /// Whose services an INT calls on a PC. Source: Ralf Brown's Interrupt List.
    private static func serviceName(_ vector: UInt8) -> String {
        switch vector {
        case 0x05: " (the BIOS: print screen)"
        case 0x10: " (the BIOS: video)"
        case 0x11: " (the BIOS: equipment)"
        case 0x12: " (the BIOS: memory size)"
        case 0x13: " (the BIOS: disks)"
        case 0x14: " (the BIOS: serial ports)"
        case 0x15: " (the BIOS: system)"
        case 0x16: " (the BIOS: keyboard)"
        case 0x17: " (the BIOS: printers)"
        case 0x18: " (the BIOS: no disk to boot from)"
        case 0x19: " (the BIOS: boot)"
        case 0x1a: " (the BIOS: time)"
        case 0x20...0x2f: " (DOS)"
        default: ""
        }
    }

    /// Source: include/uapi/linux/kvm.h, KVM_INTERNAL_ERROR_….
    private static func suberrorName(_ suberror: UInt32) -> String {
        switch suberror {
        case 1: ", emulation"
        case 2: ", simultaneous exceptions"
        case 3: ", event delivery"
        case 4: ", unexpected exit reason"
        default: ""
        }
    }
}

extension GuestDeath.Cause {
    /// What a vCPU died of, by the exit that it cannot go on from.
    package init(_ exit: Exit, of vcpu: VCPU) {
        self =
            switch exit {
            case .shutdown: .tripleFault
            case .failEntry(let reason): .failEntry(hardwareReason: reason)
            case .internalError(let suberror): Self.internalError(suberror, of: vcpu)
            case .unknown(let reason): .unexpectedExit(name: "KVM_EXIT_UNKNOWN", reason: reason)
            case .exception(let vector): .unexpectedExit(name: "KVM_EXIT_EXCEPTION", reason: UInt64(vector))
            case .other(let reason): .unexpectedExit(name: "with an unknown reason", reason: UInt64(reason))
            default: unsafe .unexpectedExit(name: exit.kind.name, reason: UInt64(vcpu.runPage.pointee.exit_reason))
            }
    }

    private static func internalError(_ suberror: UInt32, of vcpu: VCPU) -> Self {
        guard suberror == UInt32(KVM_INTERNAL_ERROR_EMULATION) else { return .internalError(suberror: suberror) }
        let error = unsafe ckvm_exit_internal_error(vcpu.runPage)
        // Sound: the function bounds the size by the array's.
        let bytes = unsafe withUnsafeBytes(of: error.instruction) {
            unsafe Array($0.prefix(Int(error.instruction_size)))
        }
        return .emulationFailure(instruction: bytes)
    }
}
