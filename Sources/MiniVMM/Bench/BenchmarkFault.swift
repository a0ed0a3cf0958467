/// A guest of a benchmark raised an exception: the host does not let it do what it tried.
struct BenchmarkFault: DiagnosticError {
    var explanation: String { "The guest raised an exception" }
    var remedy: String { "Run `minivmm doctor` to see what this host offers." }
    var exitStatus: ExitStatus { .guestDied }
}
