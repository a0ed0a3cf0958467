public import Counters
public import Devices
public import Host
import KVM
public import Logging
package import Tracepoints

/// What a machine is made with, whatever guest it runs.
public struct MachineOptions: Sendable {
    /// The layout of the counter leaves.
    public var leaves = CounterLeaves.f22
    /// Whose numbers exit types have in the counter leaves.
    public var exitTypes = ExitNumbering.sdm
    /// Which exits guests are told of, and reports show.
    public var exits = ExitScope.user
    /// How every exit is counted; nil for what the self-test finds.
    package var tracepointMethod: ExitTracepoints.Method?
    /// The CPUID trap.
    public var trap = CPUIDTrap.auto
    /// The linear addresses of the guest's CPUID instructions; nil to scan the image for them.
    public var cpuidSites: [UInt64]?
    /// How many vCPUs the machine has.
    public var cpuCount = 1
    /// The host's CPUs that the vCPUs are kept on, see `CPUList.cpu(forVCPU:)`; nil to leave that to the host.
    public var pinnedCPUs: CPUList?
    /// The descriptor that the guest's console is written to.
    public var consoleDescriptor: Int32 = 1

    /// Whether an operating system is run even where the self-test says that this host's KVM cannot boot it
    /// (``LinuxSupportError``).
    public var triesUnsupportedGuests = false

    /// How the threads of a run are kept from what they do not need; nil for not at all.
    package var confinement: (any RunConfinement)?

    /// Components that the machine has besides the standard ones.
    public var components: [any Component] = []

    /// How a guest's notifications reach virtio devices that have a thread of their own.
    public var notifications = NotificationPath.kernel

    /// What a debugger stops the machine by, if there may be one. Traps that need the debug registers are then not to be
    /// had.
    package var debugging: DebugControl?

    /// A line that makes way for the guest's console on the same terminal.
    package var statusLine: StatusLine?

    /// What is kept of the exits besides the counters.
    public var recording = RecordingOptions()

    /// Where the machine says what it does; nothing unless one is given.
    public var logger = Logger(label: "minivmm") { _ in SwiftLogNoOpLogHandler() }

    /// The defaults.
    public init() {}
}

extension MachineOptions {
    /// - Throws: ``CPUCountError`` when the machine cannot have as many vCPUs.
    func checkCPUCount(_ kvm: KVM) throws(CPUCountError) {
        let maximum = min(ACPITables.maximumVCPUCount, max(1, Int(kvm.value(of: .maximumVCPUs))))
        guard (1...maximum).contains(cpuCount) else { throw .outOfRange(cpuCount, maximum: maximum) }
    }
}

/// Why a machine cannot have as many vCPUs as were asked for.
public enum CPUCountError: Error, Hashable, Sendable {
    /// More than this host's KVM, or the interrupt controllers, know; or none.
    case outOfRange(Int, maximum: Int)
}

extension CPUCountError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .outOfRange(let count, _): "A machine cannot have \(count) vCPUs here."
        }
    }
}

/// Keeps the threads of a run from what they do not need, from before the first instruction of the guest on.
package protocol RunConfinement: Sendable {
    /// Called when all threads of the run are there, and before any enters the guest; on the thread that started it.
    func confineProcess() throws(ResourceError)

    /// Called after that on the thread of each vCPU.
    func confineVCPU() throws(ResourceError)
}

/// Where the vCPUs' threads wait until all are there and confined.
final class StartGate: Sendable {
    private struct State {
        var readyCount = 0
        var isOpen = false
    }

    private let state = Locked(State())
    private let change = ConditionSignal()

    /// Says that a thread is there, and waits until the gate opens.
    func pass() {
        state.withLock { $0.readyCount += 1 }
        change.notifyAll()
        wait { $0.isOpen }
    }

    /// Waits until a number of threads are there.
    func waitForThreads(_ count: Int) {
        wait { $0.readyCount >= count }
    }

    /// Lets all through, now and later.
    func open() {
        state.withLock { $0.isOpen = true }
        change.notifyAll()
    }

    private func wait(until condition: (State) -> Bool) {
        while true {
            let ticket = change.ticket
            if state.withLock({ condition($0) }) { return }
            _ = change.wait(after: ticket, timeout: nil)
        }
    }
}
