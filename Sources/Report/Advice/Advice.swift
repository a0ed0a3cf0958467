public import Counters
import Host

/// What a run's numbers say about the guest or the host that one can do something about, with the numbers that say it.
public struct Advice: Hashable, Sendable {
    /// What was found.
    public enum Finding: Hashable, Sendable {
        /// A serial port takes most of the exits: its name, and the bytes that were written to it.
        case serialPort(name: String, bytes: UInt64, of: Whole)
        /// Another port takes most of the exits, a value each.
        case busyPort(UInt16, of: Whole)
        /// The guest looks again and again for a device at a port that is not there.
        case missingPort(UInt16)
        /// The guest looks again and again for a device at a page that is not there.
        case missingPage(UInt64)
        /// The guest reaches its local APIC's registers by MMIO.
        case localAPICByMMIO
        /// The guest sets its timer: the MSR.
        case timer(msr: UInt32)
        /// Programs execute CPUID, and the trap brings each out.
        case programCPUIDs
        /// Interrupts of the host.
        case hostInterrupts(perSecond: UInt64)
        /// First touches of memory, a page each.
        case nestedPageFaults
        /// KVM shadows the guest's page tables.
        case shadowPaging
        /// KVM's emulator runs instructions in place of the processor: for each exit so many.
        case emulatedInstructions(perExit: UInt64)
        /// The single steps that trap CPUIDs.
        case singleSteps
        /// A virtio device moves little with each request: its name, and the bytes of one on the average.
        case smallRequests(DeviceActivity.Kind, device: String, bytes: UInt64)
        /// The guest notifies a virtio device by exits, of which KVM could carry each: the device's name.
        case notificationsByExit(device: String)
        /// KVM waits actively while the guest halts, in nanoseconds.
        case haltPolling(nanoseconds: UInt64)
    }

    /// What a part is of, in words.
    public enum Whole: String, Hashable, Sendable {
        /// All exits.
        case exits
        /// Those that a trace kept.
        case traced = "the traced exits"
    }

    /// What was found.
    public let finding: Finding
    /// How many exits, accesses or instructions say so; 0 where it is time that does.
    public let count: UInt64
    /// Which part that is of what ``sentence`` says: of the exits, or of the time. At most 1, but for instructions.
    public let share: Double

    package init(_ finding: Finding, count: UInt64, share: Double) {
        self.finding = finding
        self.count = count
        self.share = share
    }
}

/// What to do about what the rules find: sentences of whoever shows a report, who alone knows by what names its options go.
public struct AdviceRemedies: Sendable {
    private let remedy: @Sendable (Advice) -> String?

    /// The given sentences; nil where there is nothing to do.
    public init(_ remedy: @escaping @Sendable (Advice) -> String?) {
        self.remedy = remedy
    }

    /// No word about what to do.
    public static let none = AdviceRemedies { _ in nil }

    package func callAsFunction(_ advice: Advice) -> String? { remedy(advice) }
}

extension Advice {
    /// The name in the JSON format.
    package var name: String {
        switch finding {
        case .serialPort: "serial_port"
        case .busyPort: "busy_port"
        case .missingPort: "missing_port"
        case .missingPage: "missing_page"
        case .localAPICByMMIO: "local_apic_by_mmio"
        case .timer: "timer"
        case .programCPUIDs: "program_cpuids"
        case .hostInterrupts: "host_interrupts"
        case .nestedPageFaults: "nested_page_faults"
        case .shadowPaging: "shadow_paging"
        case .emulatedInstructions: "emulated_instructions"
        case .singleSteps: "single_steps"
        case .smallRequests: "small_requests"
        case .notificationsByExit: "notifications_by_exit"
        case .haltPolling: "halt_polling"
        }
    }

    /// What was found, and the numbers that say so: a sentence for a line of 80 columns.
    public var sentence: String {
        let part = "\(Int((share * 100).rounded()))%"
        return switch finding {
        case .serialPort(let name, let bytes, let whole):
            "\(name) takes \(part) of \(whole.rawValue), \(bytes) bytes one by one."
        case .busyPort(let port, let whole):
            "\(Self.name(port)) takes \(part) of \(whole.rawValue), a value each."
        case .missingPort(let port): "Nobody claims \(Self.name(port)): \(count) accesses, \(part) of exits."
        case .missingPage(let page): "Nobody claims \(Self.name(page)): \(count) accesses, \(part) of exits."
        case .localAPICByMMIO: "\(count) accesses to the local APIC by MMIO are \(part) of exits."
        case .timer(let msr):
            "\(count) writes of \(MSRNames.name(of: msr) ?? Hex.number(msr)) set a timer: \(part) of exits."
        case .programCPUIDs: "\(count) CPUIDs of programs are \(part) of exits, a fault each."
        case .hostInterrupts(let rate):
            "\(count) interrupts of the host are \(part) of exits: \(rate) a second on each vCPU."
        case .nestedPageFaults: "\(count) first touches of guest memory are \(part) of exits."
        case .shadowPaging: "\(count) page faults and CR writes are \(part) of exits: KVM shadows page tables."
        case .emulatedInstructions(let number):
            "KVM emulated \(count) instructions, \(number) for each exit of the processor."
        case .singleSteps: "\(count) single steps of the CPUID trap took \(part) of the time."
        case .smallRequests(let kind, let device, let bytes):
            "\(device) takes \(part) of exits, for \(kind == .network ? "frames" : "requests") of \(bytes) bytes each."
        case .notificationsByExit(let device): "\(count) notifications of \(device) are \(part) of exits."
        case .haltPolling(let nanoseconds):
            "KVM waited actively in halts for \(HumanNumber.spaced(seconds: Double(nanoseconds) / 1e9)), "
                + "\(part) of the vCPUs' time."
        }
    }

    private static func name(_ port: UInt16) -> String {
        "port \(Hex.number(port))" + (AddressNames.port(port).map { " (\($0))" } ?? "")
    }

    private static func name(_ page: UInt64) -> String {
        "page \(Hex.number(page))" + (AddressNames.page(page).map { " (\($0))" } ?? "")
    }
}
