import CKVM
import Counters
import KVM

/// The exits that a guest does not make thousands of times a second, and those that end it.
extension VCPURunner {
    func serviceRare(_ exit: Exit) -> Service {
        let kind = exit.kind
        counters.begin(kind)
        switch exit {
        case .hlt:
            return serviceHalt()
        case .rdmsr, .wrmsr:
            // An MSR that neither KVM nor MiniVMM knows faults, as on a processor that lacks it.
            vcpu.answerMSR(nil)
            return .booked(kind)
        case .hypercall:
            vcpu.answerHypercall(Self.unknownHypercall)
            return .booked(kind)
        case .irqWindowOpen, .interrupted, .setTPR, .tprAccess, .ioapicEOI, .nmi, .dirtyRingFull, .busLock, .notify:
            // Notices that ask for nothing of a machine whose interrupt controllers live in KVM.
            return .booked(kind)
        case .systemEvent(let type):
            return serviceSystemEvent(kind, type)
        case .shutdown where machine.resetsByTripleFault:
            return over(kind, machine.control.resetEnding)
        default:
            return over(kind, .died(death(GuestDeath.Cause(exit, of: vcpu))))
        }
    }

    /// Services a HLT that KVM does not keep to itself, for want of interrupt controllers: of all interrupts there is the
    /// timer's alone, if the guest uses it. The wait is nobody's time.
    private func serviceHalt() -> Service {
        do throws(KVMError) {
            guard let ticks = machine.ticks, try ticks.waitAtHalt(self) else { return over(.hlt, .halted) }
            serviceStart = ckvm_rdtsc()
            return .booked(.hlt)
        } catch {
            return over(.hlt, .failed(error))
        }
    }

    /// -KVM_ENOSYS. Source: include/uapi/linux/kvm_para.h.
    private static let unknownHypercall = UInt64(bitPattern: -1000)

    private func serviceSystemEvent(_ kind: ExitKind, _ type: UInt32) -> Service {
        switch Int32(truncatingIfNeeded: type) {
        case KVM_SYSTEM_EVENT_SHUTDOWN: over(kind, .poweredOff)
        case KVM_SYSTEM_EVENT_RESET: over(kind, .reset)
        case KVM_SYSTEM_EVENT_CRASH: over(kind, .died(death(.crashEvent(type: type))))
        // Wake-up and suspend notices.
        default: .booked(kind)
        }
    }
}
