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
    /// - Parameter repetitions: How often each operation is measured: 1 to ``greatestRepetitions``.
    public init(kvm: KVM, repetitions: Int = ExitBenchmark.defaultRepetitions) {
        self.kvm = kvm
        self.repetitions = min(max(repetitions, 1), Self.greatestRepetitions)
    }

    /// How often each operation is measured, unless told otherwise.
    public static let defaultRepetitions = 4000
    /// As many as there is room for in the guest's memory.
    public static let greatestRepetitions = 7000

    /// Measures all operations.
    ///
    /// - Parameter onProgress: Called before each operation with its name, its number from 1 on, and how many there are.
    public func run(onProgress: (String, Int, Int) -> Void = { _, _, _ in }) -> BenchmarkOutcome {
        var outcome = BenchmarkOutcome(repetitions: repetitions, tscKHz: nil, host: .current, results: [], skipped: [])
        let operations = BenchmarkOperation.all
        let machines = BenchmarkMachines(kvm: kvm, repetitions: repetitions)
        for (index, operation) in operations.enumerated() {
            onProgress(operation.title, index + 1, operations.count)
            do {
                let run = try machines.run(operation)
                outcome.tscKHz = outcome.tscKHz ?? run.tscKHz
                outcome.results.append(BenchmarkResult(operation, samples: run.samples))
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
