import Counters
public import Host
public import KVM
import MiniVMM

/// Measures what exits cost on this host, by a clock of the guest's own: RDTSC before and after one operation, as often
/// as it takes.
///
/// The guest is a loop in real mode around the operation. What brings the operation about is a loop over KVM_RUN that
/// does nothing else, so that the figures are the processor's and KVM's; but for the traps, which are MiniVMM's.
public struct ExitBenchmark: Sendable {
    private let kvm: KVM
    private let repetitions: Int

    /// A benchmark of a host's KVM.
    ///
    /// - Parameters:
    ///   - kvm: The host's KVM.
    ///   - repetitions: How often each operation is measured: 1 to ``maximumRepetitions``.
    public init(kvm: KVM, repetitions: Int = ExitBenchmark.defaultRepetitions) {
        self.kvm = kvm
        self.repetitions = min(max(repetitions, 1), Self.maximumRepetitions)
    }

    /// How often each operation is measured, unless told otherwise.
    public static let defaultRepetitions = 4000
    /// As many as there is room for in the guest's memory.
    public static let maximumRepetitions = 7000

    /// Measures all operations.
    ///
    /// - Parameter onProgress: Called before each operation with its name, its number from 1 on, and how many there are.
    public func run(onProgress: (String, Int, Int) -> Void = { _, _, _ in }) -> BenchmarkOutcome {
        var outcome = BenchmarkOutcome(repetitions: repetitions, tscKHz: nil, host: .current, results: [], skipped: [])
        let operations = BenchmarkOperation.all
        let machines = BenchmarkMachines(kvm: kvm, repetitions: repetitions)
        // Where KVM's tracepoints tell nothing there is a column less.
        let method = try? kvm.tracepointSupport()
        for (index, operation) in operations.enumerated() {
            onProgress(operation.title, index + 1, operations.count)
            do {
                let run = try machines.run(operation)
                outcome.tscKHz = outcome.tscKHz ?? run.tscKHz
                let time = try method.flatMap { try machines.kernelTime(operation, method: $0) }
                outcome.results.append(BenchmarkResult(operation, samples: run.samples, kernelNanoseconds: time))
            } catch let error as BenchmarkError {
                outcome.skipped.append(.init(operation: operation, reason: error.explanation))
            } catch let error as any DiagnosticError {
                outcome.skipped.append(.init(operation: operation, reason: error.explanation))
            } catch {
                outcome.skipped.append(.init(operation: operation, reason: "\(error)"))
            }
        }
        return outcome
    }
}

/// What a benchmark came to.
public struct BenchmarkOutcome: Sendable {
    /// An operation that could not be measured.
    public struct Skipped: Hashable, Sendable {
        package let operation: BenchmarkOperation
        /// Why, in a sentence.
        public let reason: String

        /// The name in the JSON format.
        public var name: String { operation.name }
        /// The name in tables.
        public var title: String { operation.title }
    }

    /// How often each operation was to be measured.
    public let repetitions: Int
    /// The frequency of the time-stamp counter in kHz, where it is known.
    public internal(set) var tscKHz: UInt32?
    /// The host.
    public let host: HostDescription
    /// What could be measured.
    public internal(set) var results: [BenchmarkResult]
    /// What could not.
    public internal(set) var skipped: [Skipped]
}

/// What an operation costs, in cycles of the guest's time-stamp counter, the two RDTSCs around it included.
public struct BenchmarkResult: Hashable, Sendable {
    package let operation: BenchmarkOperation
    /// How often it was measured.
    public let repetitions: Int
    /// How many items it moves; the cycles are those of all of them.
    public let items: Int
    /// The shortest time, in cycles.
    public let least: UInt32
    /// The median: half of the times are at most as long.
    public let median: UInt32
    /// The 99th percentile.
    public let p99: UInt32
    /// What KVM took for an exit of the operation in the mean, in nanoseconds, by its tracepoints; nil where they do not
    /// tell. They make it longer by what they cost themselves.
    public let kernelNanoseconds: Double?

    /// The name in the JSON format.
    public var name: String { operation.name }
    /// The name in tables.
    public var title: String { operation.title }

    /// The result of some times, of which there is at least one.
    init(_ operation: BenchmarkOperation, samples: [UInt32], kernelNanoseconds: Double? = nil) {
        let sorted = samples.sorted()
        /// The least time that so many percent are at most as long as.
        func percentile(_ percent: Int) -> UInt32 {
            let rank = max(1, (sorted.count * percent + 99) / 100)
            return sorted.isEmpty ? 0 : sorted[rank - 1]
        }
        self.operation = operation
        self.kernelNanoseconds = kernelNanoseconds
        repetitions = samples.count
        items = operation.items
        least = sorted.first ?? 0
        median = percentile(50)
        p99 = percentile(99)
    }
}

/// Why an operation could not be measured.
enum BenchmarkError: Error, Hashable {
    /// The CPUID trap does not work on this host.
    case trapDoesNotWork(CPUIDTrap)
    /// KVM lacks a capability.
    case missingCapability(String)
    /// The guest did something that it was not to do.
    case unexpected(String)
    /// The guest did not come to its end in time.
    case timeout

    /// One sentence.
    package var explanation: String {
        switch self {
        case .trapDoesNotWork(let trap): "The CPUID trap `\(trap.rawValue)` does not work on this host."
        case .missingCapability(let name): "This KVM lacks \(name)."
        case .unexpected(let what): "The guest ended early: \(what)."
        case .timeout: "The guest did not come to its end in time."
        }
    }
}

/// A guest of a benchmark raised an exception: the host does not let it do what it tried.
struct BenchmarkFault: DiagnosticError {
    package var explanation: String { "The guest raised an exception" }
}
