import FoundationEssentials

/// A run as a report in JSON has it: what `--report FILE.json` and `--stats json` write, read back.
///
/// Members that this version does not know are passed over, and those that came later than the format are optional. The
/// texts are those of the file, which anybody may have written: show them by a way that leaves out what a terminal obeys.
public struct ReportedRun: Decodable, Hashable, Sendable {
    /// How the run ended.
    public struct Outcome: Decodable, Hashable, Sendable {
        /// What it was, such as `halted`.
        public let kind: String
        /// The same in words.
        public let summary: String
        /// The exit status of the command.
        public let exitStatus: Int32

        enum CodingKeys: String, CodingKey {
            case kind
            case summary
            case exitStatus = "exit_status"
        }
    }

    /// Sums over all kinds. Times in cycles.
    public struct Total: Decodable, Hashable, Sendable {
        /// Exits of the guest.
        public let exits: UInt64
        /// Their service time.
        public let serviceCycles: UInt64
        /// Time in KVM_RUN.
        public let runCycles: UInt64
        /// Exits that MiniVMM caused itself.
        public let internalExits: UInt64
        /// What those took.
        public let internalCycles: UInt64

        enum CodingKeys: String, CodingKey {
            case exits
            case serviceCycles = "service_cycles"
            case runCycles = "run_cycles"
            case internalExits = "internal_exits"
            case internalCycles = "internal_cycles"
        }
    }

    /// The exits of one kind that came out to MiniVMM. Times in cycles.
    public struct Kind: Decodable, Hashable, Sendable {
        /// The kind's name.
        public let kind: String
        /// The SDM's basic exit reason.
        public let sdm: UInt32?
        /// How many there were.
        public let exits: UInt64
        /// The service time of all.
        public let serviceCycles: UInt64
        /// The median of the service time.
        public let p50: UInt64
        /// The 99th percentile.
        public let p99: UInt64
        /// The longest.
        public let max: UInt64

        enum CodingKeys: String, CodingKey {
            case kind, sdm, exits, p50, p99, max
            case serviceCycles = "service_cycles"
        }
    }

    /// One vCPU.
    public struct VCPU: Decodable, Hashable, Sendable {
        /// Its number.
        public let vcpu: Int
        /// Its sums.
        public let total: Total
        /// Its kinds of exits.
        public let kinds: [Kind]
    }

    /// The exits for one of the processor's reasons. Times in nanoseconds.
    public struct Reason: Decodable, Hashable, Sendable {
        /// The reason's short name.
        public let name: String
        /// The SDM's basic exit reason.
        public let sdm: UInt32?
        /// Exits that KVM settled itself.
        public let exits: UInt64
        /// All exits for this reason.
        public let processorExits: UInt64
        /// What KVM took for those that it settled.
        public let nanoseconds: UInt64
        /// What vCPUs slept in them.
        public let haltedNanoseconds: UInt64

        enum CodingKeys: String, CodingKey {
            case name, sdm, exits
            case processorExits = "processor_exits"
            case nanoseconds = "ns"
            case haltedNanoseconds = "halted_ns"
        }
    }

    /// What KVM settled itself, where every exit was counted.
    public struct KernelSettled: Decodable, Hashable, Sendable {
        /// Whose numbers the processor has: `vmx` or `svm`.
        public let processorExtension: String
        /// Exits that KVM settled.
        public let exits: UInt64
        /// KVM's own statistic.
        public let kernelExits: UInt64?
        /// The reasons.
        public let reasons: [Reason]

        enum CodingKeys: String, CodingKey {
            case processorExtension = "extension"
            case exits, reasons
            case kernelExits = "kvm_exits"
        }
    }

    /// What KVM itself counted of a vCPU.
    public struct KernelCounts: Decodable, Hashable, Sendable {
        /// The vCPU's number.
        public let vcpu: Int
        /// By the kernel's names.
        public let counts: [String: UInt64]
    }

    /// Exits of one instruction about one thing.
    public struct Place: Decodable, Hashable, Sendable {
        /// The vCPU's number.
        public let vcpu: Int
        /// The kind, or KVM's reason.
        public let name: String
        /// The address of the instruction, in hexadecimal.
        public let address: String?
        /// The function that has it.
        public let function: String?
        /// What the exits were about.
        public let subject: String?
        /// The name of that.
        public let subjectName: String?
        /// How many there were.
        public let exits: UInt64
        /// What they took, in cycles.
        public let cycles: UInt64

        enum CodingKeys: String, CodingKey {
            case vcpu, name, address, function, subject, exits, cycles
            case subjectName = "subject_name"
        }
    }

    /// Where exits came from.
    public struct Places: Decodable, Hashable, Sendable {
        /// Those with most exits first.
        public let places: [Place]
    }

    /// What makes exits cheaper or dearer on a host.
    public struct Host: Decodable, Hashable, Sendable {
        /// The revision of the processor's microcode.
        public let microcode: String?
        /// What the kernel does about vulnerabilities of processors, by their names.
        public let mitigations: [String: String]
        /// The parameters of KVM's modules, such as `kvm_intel.ept`.
        public let parameters: [String: String]
        /// What the host is a guest of.
        public let hypervisor: String?
        /// The kernel's arguments.
        public let commandLine: String?
        /// The governors of the processors' frequencies.
        public let governors: [String]
        /// Whether frequencies above the nominal one are allowed.
        public let boost: Bool?
        /// Whether threads of a core share it.
        public let smt: Bool?
        /// When the kernel uses huge pages by itself.
        public let transparentHugePages: String?
        /// The CPUs that vCPUs were kept on.
        public let pinnedCPUs: String?

        enum CodingKeys: String, CodingKey {
            case microcode, mitigations, parameters, hypervisor, governors, boost, smt
            case commandLine = "kernel_command_line"
            case transparentHugePages = "transparent_hugepages"
            case pinnedCPUs = "pinned_cpus"
        }
    }

    /// Who asked for what, when and where.
    public struct Context: Decodable, Hashable, Sendable {
        /// The command and its arguments.
        public let command: [String]
        /// ISO 8601, in UTC.
        public let startedAt: String
        /// The guest's name.
        public let guest: String
        /// The guest's memory.
        public let memoryBytes: UInt64
        /// How many vCPUs it had.
        public let vcpuCount: Int
        /// The host's processor.
        public let processor: String?
        /// The host's kernel.
        public let kernel: String
        /// What makes exits cheaper or dearer on the host, where that was looked at.
        public let host: Host?

        enum CodingKeys: String, CodingKey {
            case command, guest, processor, kernel, host
            case startedAt = "started_at"
            case memoryBytes = "memory_bytes"
            case vcpuCount = "vcpu_count"
        }
    }

    /// The version of the format.
    public let schema: Int
    /// The version of MiniVMM that wrote it.
    public let version: String?
    /// How the run ended.
    public let outcome: Outcome
    /// From the first vCPU's start to the last one's end, in nanoseconds.
    public let durationNanoseconds: UInt64
    /// The frequency of the time-stamp counter in kHz.
    public let tscKHz: UInt32?
    /// The layout of the counter leaves.
    public let leaves: String
    /// The CPUID trap.
    public let trap: String
    /// Which exits were counted.
    public let scope: String
    /// Sums.
    public let total: Total
    /// The kinds that came out to MiniVMM.
    public let kinds: [Kind]
    /// The vCPUs.
    public let vcpus: [VCPU]
    /// What KVM settled itself.
    public let kernelSettled: KernelSettled?
    /// What KVM itself counted.
    public let kernelStatistics: [KernelCounts]?
    /// Where exits came from, where the run kept that.
    public let places: Places?
    /// Who asked for what, where that was recorded.
    public let context: Context?

    enum CodingKeys: String, CodingKey {
        case schema, version, outcome, leaves, total, kinds, vcpus, places, context
        case durationNanoseconds = "duration_ns"
        case tscKHz = "tsc_khz"
        case trap = "cpuid_trap"
        case scope = "exits_scope"
        case kernelSettled = "kernel_settled"
        case kernelStatistics = "kernel_statistics"
    }

    /// Reads a report.
    ///
    /// - Throws: ``RecordError`` when the text is no report of one run that this version understands.
    public init(json: [UInt8]) throws(RecordError) {
        let runs = try Self.all(json: json)
        guard runs.count == 1 else { throw .notARecord }
        self = runs[0]
    }

    /// Reads a report of one run, or of several that were made one after the other.
    ///
    /// - Throws: ``RecordError`` when the text is no report that this version understands.
    public static func all(json: [UInt8]) throws(RecordError) -> [ReportedRun] {
        let data = Data(json)
        let runs: [ReportedRun]
        do {
            let envelope = try JSONDecoder().decode(Envelope.self, from: data)
            guard envelope.schema == RunRecord.schemaVersion else { throw RecordError.wrongSchema(envelope.schema) }
            runs =
                try envelope.isSeveral
                ? JSONDecoder().decode(Several.self, from: data).runs
                : [JSONDecoder().decode(ReportedRun.self, from: data)]
        } catch let error as RecordError {
            throw error
        } catch {
            throw .notARecord
        }
        guard !runs.isEmpty else { throw .notARecord }
        for run in runs where run.schema != RunRecord.schemaVersion { throw .wrongSchema(run.schema) }
        return runs
    }

    /// What tells one run from several.
    private struct Envelope: Decodable {
        let schema: Int
        let isSeveral: Bool

        private enum CodingKeys: String, CodingKey {
            case schema, runs
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            schema = try container.decode(Int.self, forKey: .schema)
            isSeveral = container.contains(.runs)
        }
    }

    private struct Several: Decodable {
        let runs: [ReportedRun]
    }
}

/// Why a file is no record of a run.
public enum RecordError: Error, Hashable, Sendable {
    /// It is no JSON, or lacks what a record has.
    case notARecord
    /// It is a record of a format that this version does not know.
    case wrongSchema(Int)
}
