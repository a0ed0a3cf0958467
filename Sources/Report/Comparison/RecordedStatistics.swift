import Counters
import Host

/// What comparing needs of a run, out of its report. All texts can be shown.
public struct RecordedStatistics: Hashable, Sendable {
    /// The exits of one kind.
    package struct Kind: Hashable, Sendable {
        package let name: String
        package let exits: UInt64
        package let serviceCycles: UInt64
        /// Whether the guest alone decides how many there are. Those of interrupts, timers and the host's memory differ
        /// from run to run.
        package let isExact: Bool
    }

    /// Where exits came from, where the run kept that.
    package struct Places: Hashable, Sendable {
        /// What exits were, and what they were about or which function made them.
        package struct Place: Hashable, Sendable {
            package let exit: String
            package let what: String
        }
        package typealias Counts = [Place: UInt64]
        /// The exits by what they were about.
        package let details: Counts
        /// The exits by function; those without one are left out.
        package let functions: Counts

        /// Those that MiniVMM settled.
        package var withoutKernels: Places {
            Places(
                details: details.filter { !$0.key.exit.hasPrefix(ExitPlaces.kernelPrefix) },
                functions: functions.filter { !$0.key.exit.hasPrefix(ExitPlaces.kernelPrefix) })
        }
    }

    /// The exits that reached MiniVMM.
    package let kinds: [Kind]
    /// The exits that KVM settled, by reason, with their times in cycles; nil where the run did not count them.
    package let settled: [Kind]?
    package let places: Places?
    /// KVM's own count of exits, where the run has it.
    package let kernelExits: UInt64?
    /// Time in KVM_RUN, in cycles.
    package let runCycles: UInt64
    /// Exits that MiniVMM caused itself.
    package let internalExits: UInt64
    /// Nanoseconds.
    package let duration: UInt64
    /// The frequency of the time-stamp counter in kHz, where it was known.
    package let tscKHz: UInt32?
    /// The guest's name, where it was recorded.
    package let guest: String?
    /// What two runs have to have in common for their numbers to be comparable, by what it is called.
    package let conditions: [Condition]

    /// Something that numbers depend on.
    package struct Condition: Hashable, Sendable {
        package let name: String
        package let value: String
    }

    /// Reads a record of one run.
    ///
    /// - Throws: ``RecordError`` when the text is no record of a run that this version understands.
    public init(json: [UInt8]) throws(RecordError) {
        self = try RecordedStatistics(ReportedRun(json: json))
    }

    /// Reads a record of one run, or of several.
    ///
    /// - Throws: ``RecordError`` when the text is no such record.
    public static func all(json: [UInt8]) throws(RecordError) -> [RecordedStatistics] {
        var all: [RecordedStatistics] = []
        for run in try ReportedRun.all(json: json) { all.append(try RecordedStatistics(run)) }
        return all
    }

    /// Takes what is needed out of a run.
    ///
    /// - Throws: ``RecordError/notARecord`` where there is more of something than any run has.
    public init(_ run: ReportedRun) throws(RecordError) {
        guard run.kinds.count <= Self.maximumKindCount,
            run.kernelSettled?.reasons.count ?? 0 <= Self.maximumReasonCount,
            run.kinds.allSatisfy({ Self.isName($0.kind) }),
            run.kernelSettled?.reasons.allSatisfy({ Self.isName($0.name) }) ?? true
        else { throw .notARecord }
        kinds = run.kinds.map {
            Kind(
                name: ForeignText.visible($0.kind), exits: $0.exits, serviceCycles: $0.serviceCycles,
                isExact: Exactness.isExact(kind: $0.kind))
        }
        // A frequency in kHz: so many cycles in a million nanoseconds.
        let cyclesPerNanosecond = Double(run.tscKHz ?? 1_000_000) / 1e6
        settled = run.kernelSettled.map {
            Self.settledKinds($0.reasons, cyclesPerNanosecond: cyclesPerNanosecond)
        }
        kernelExits =
            run.kernelSettled?.kernelExits
            ?? run.kernelStatistics.flatMap { vcpus in
                let counts = vcpus.compactMap { $0.counts["exits"] }
                return counts.isEmpty ? nil : counts.reduce(0, &+)
            }
        runCycles = run.total.runCycles
        internalExits = run.total.internalExits
        duration = run.durationNanoseconds
        tscKHz = run.tscKHz
        guest = run.context.map { Self.shown($0.guest) }
        places = run.places.map(Self.places)
        conditions = Self.conditions(of: run)
    }

    /// More kinds than there are, and more reasons than a processor has; a file with more is no record.
    private static let maximumKindCount = 64
    private static let maximumReasonCount = 1024
    private static let maximumNameLength = 64
    /// How much of a text is shown.
    private static let maximumTextLength = 256

    private static func isName(_ text: String) -> Bool {
        text.utf8.count <= maximumNameLength
    }

    private static func shown(_ text: String) -> String {
        ForeignText.visible(String(text.prefix(maximumTextLength)))
    }

    private static func places(_ kept: ReportedRun.Places) -> Places {
        var (details, functions): (Places.Counts, Places.Counts) = ([:], [:])
        for place in kept.places {
            let about = place.subject.map { text in place.subjectName.map { "\(text) (\($0))" } ?? text } ?? ""
            details[Places.Place(exit: place.name, what: about), default: 0] &+= place.exits
            guard let function = place.function else { continue }
            functions[Places.Place(exit: place.name, what: function), default: 0] &+= place.exits
        }
        return Places(details: details, functions: functions)
    }

    /// Sums by name: several of SVM's codes are one of the SDM's reasons.
    private static func settledKinds(_ reasons: [ReportedRun.Reason], cyclesPerNanosecond: Double) -> [Kind] {
        var sums: [(name: String, sdm: UInt32?, exits: UInt64, nanoseconds: UInt64)] = []
        for reason in reasons where reason.exits > 0 {
            if let index = sums.firstIndex(where: { $0.name == reason.name }) {
                sums[index].exits &+= reason.exits
                sums[index].nanoseconds &+= reason.nanoseconds
            } else {
                sums.append((reason.name, reason.sdm, reason.exits, reason.nanoseconds))
            }
        }
        return sums.map { sum in
            // A file may hold any number; what is beyond 64 bits is as much as there can be.
            let cycles = UInt64(exactly: (Double(sum.nanoseconds) * cyclesPerNanosecond).rounded()) ?? .max
            return Kind(
                name: ExitPlaces.kernelPrefix + ForeignText.visible(sum.name), exits: sum.exits, serviceCycles: cycles,
                isExact: Exactness.isExact(reason: sum.sdm))
        }
    }

    private static func conditions(of run: ReportedRun) -> [Condition] {
        var conditions = [
            Condition(name: "leaves", value: shown(run.leaves)), Condition(name: "CPUID trap", value: shown(run.trap)),
            Condition(name: "exits", value: shown(run.scope)), Condition(name: "vCPUs", value: "\(run.vcpus.count)"),
        ]
        if let version = run.version { conditions.append(Condition(name: "MiniVMM", value: shown(version))) }
        guard let context = run.context else { return conditions }
        conditions += [
            Condition(name: "guest", value: shown(context.guest)),
            Condition(name: "memory", value: ByteCount(context.memoryBytes).description),
            Condition(name: "processor", value: context.processor.map(shown) ?? "unknown"),
            Condition(name: "kernel", value: shown(context.kernel)),
        ]
        return conditions + (context.host.map(Self.conditions) ?? [])
    }

    /// The most parameters and mitigations that are compared.
    private static let maximumSettingCount = 512

    private static func conditions(of host: ReportedRun.Host) -> [Condition] {
        func word(_ value: Bool?) -> String? { value.map { $0 ? "yes" : "no" } }
        let single: [(String, String?)] = [
            ("microcode", host.microcode), ("guest of", host.hypervisor ?? "nothing"),
            ("kernel's arguments", host.commandLine),
            ("governor", host.governors.isEmpty ? nil : host.governors.joined(separator: ", ")),
            ("boost", word(host.boost)), ("SMT", word(host.smt)), ("huge pages", host.transparentHugePages),
            ("pinned to", host.pinnedCPUs.map { "CPUs " + $0 } ?? "nothing"),
        ]
        let settings = [("", host.parameters), ("mitigation of ", host.mitigations)].flatMap { prefix, settings in
            settings.sorted { $0.key < $1.key }.prefix(maximumSettingCount).map {
                (prefix + $0.key, Optional($0.value))
            }
        }
        return (single + settings).compactMap { name, value in
            value.map { Condition(name: shown(name), value: shown($0)) }
        }
    }
}

/// Which counts are the guest's doing alone, and which depend on when things happen and on the host's memory.
package enum Exactness {
    /// Whether a guest that does the same has as many of these exits. Unknown names are of versions to come.
    package static func isExact(kind name: String) -> Bool {
        guard let kind = ExitKind.allCases.first(where: { $0.name == name }) else { return false }
        return isExact(kind)
    }

    private static func isExact(_ kind: ExitKind) -> Bool {
        switch kind {
        case .portIn, .portOut, .mmioRead, .mmioWrite, .hlt, .cpuid, .rdmsr, .wrmsr, .hypercall, .debug, .exception,
            .shutdown, .failEntry, .internalError, .systemEvent, .hyperV, .xen, .tdx:
            true
        case .nmi, .irqWindowOpen, .interrupted, .setTPR, .tprAccess, .ioapicEOI, .dirtyRingFull, .apResetHold,
            .busLock, .notify, .memoryFault, .unknown:
            false
        }
    }

    /// The same of exits that KVM settled, by the SDM's number: those of instructions that neither wait nor deal with
    /// interrupts. WRMSR sets timers, and an EPT violation is a first touch of memory, whose pages are the host's.
    package static func isExact(reason: UInt32?) -> Bool {
        guard let reason else { return false }
        // CPUID, GETSEC, INVD, INVLPG, RDPMC, RSM, VMX instructions, CR and DR accesses, I/O, RDMSR, descriptor tables,
        // WBINVD, XSETBV, RDRAND, RDSEED.
        return [10, 11, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 46, 47, 54, 55, 57, 61]
            .contains(reason)
    }
}
