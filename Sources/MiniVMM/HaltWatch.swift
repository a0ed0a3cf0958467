import Counters
import Host
import KVM

/// Finds out that a guest has halted for good, where KVM has the interrupt controllers and HLT makes no exit: every
/// vCPU that was started is in HLT with interrupts off, and nothing is left that could wake one.
///
/// It costs the vCPUs nothing while they do anything: their threads' processor time says that. Only when it has stood
/// still from one look to the next are they kicked out of KVM_RUN for a moment and asked, and when they are merely idle,
/// the next time is twice as far away.
///
/// For the thread that waits for the run's end. A class, because where there may be none, a pointer says so by itself.
final class HaltWatch {
    /// Between the first looks. A guest of a few instructions has ended by then.
    static let shortestInterval = Duration.milliseconds(2)
    /// Between looks while the vCPUs work.
    static let busyInterval = Duration.milliseconds(64)
    /// Between looks at a guest that stays idle, and about half the time between two kicks.
    static let longestInterval = Duration.milliseconds(1024)
    /// How long the vCPUs are waited for at least, and at most. One that waits for its console's reader holds the others
    /// up for no more than that.
    private static let patience = (least: Duration.milliseconds(10), most: Duration.milliseconds(64))

    private let control: RunControl
    /// What the vCPUs' threads have worked so far, in nanoseconds.
    private let processorTime: () -> UInt64
    private var interval = HaltWatch.shortestInterval
    /// ``processorTime`` at the last look; nil before the first, and after the vCPUs were kicked, which takes time too.
    private var lastTime: UInt64?
    /// When the next look is due.
    private(set) var nextLook: ContinuousClock.Instant

    /// - Parameter threads: The vCPUs' threads, which are not joined while this is used.
    convenience init(_ control: RunControl, threads: [PosixThread]) {
        self.init(control) { threads.reduce(0) { $0 &+ $1.processorTime } }
    }

    init(_ control: RunControl, processorTime: @escaping () -> UInt64) {
        self.control = control
        self.processorTime = processorTime
        nextLook = .now + interval
    }

    /// Looks once, and ends the run if the guest has halted for good.
    func look() {
        let time = processorTime()
        switch lastTime {
        case nil:
            lastTime = time
        case time:
            let patience = min(max(interval / 16, Self.patience.least), Self.patience.most)
            control.stop(.halted, within: patience, if: Self.haveHaltedForGood)
            interval = min(interval * 2, Self.longestInterval)
            lastTime = nil
        default:
            interval = min(interval * 2, Self.busyInterval)
            lastTime = time
        }
        nextLook = .now + interval
    }

    /// Whether none of a machine's vCPUs, which are out of KVM_RUN, can go on.
    private static func haveHaltedForGood(_ vcpus: [VCPU]) -> Bool {
        guard let machine = vcpus.first?.owner else { return false }
        do {
            // The first that may go on settles it: the others are not asked.
            for vcpu in vcpus {
                guard try vcpu.waitState().isEndless else { return false }
            }
            return try !machine.redirections().contains { WakeUp.ofRedirection($0) }
        } catch {
            // A KVM that does not tell leaves it to the timeout.
            return false
        }
    }
}

extension VCPUWaitState {
    /// Whether it never ends unless another vCPU, or a pin of the IOAPIC, ends it.
    var isEndless: Bool {
        switch activity {
        case .runs: false
        case .waitsForStart: true
        case .halted:
            !takesInterrupts && !hasPendingEvent && !isHypervisor
                && !localVectors.contains { WakeUp.ofLocalVector($0) }
        }
    }
}

/// What of an interrupt controller wakes a vCPU that has interrupts off: entries that are not masked, with a delivery
/// mode that RFLAGS.IF does not hold back (SMI, NMI, INIT, start-up).
///
/// Source: Intel SDM, volume 3, "Local Vector Table"; Intel 82093AA IOAPIC, "I/O redirection table registers". In both,
/// bits 10:8 are the delivery mode and bit 16 is the mask.
enum WakeUp {
    private static let maskBit: UInt64 = 1 << 16
    /// Fixed, lowest priority, ExtINT.
    private static let heldBack: Set<UInt64> = [0b000, 0b001, 0b111]

    static func ofLocalVector(_ entry: UInt32) -> Bool {
        ofRedirection(UInt64(entry))
    }

    static func ofRedirection(_ entry: UInt64) -> Bool {
        entry & maskBit == 0 && !heldBack.contains(entry >> 8 & 0b111)
    }
}
