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
    var explanation: String {
        switch self {
        case .trapDoesNotWork(let trap): "The CPUID trap `\(trap.rawValue)` does not work on this host."
        case .missingCapability(let name): "This KVM lacks \(name)."
        case .unexpected(let what): "The guest ended early: \(what)."
        case .timeout: "The guest did not come to its end in time."
        }
    }
}
