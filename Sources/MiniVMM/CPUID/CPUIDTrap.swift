/// How a guest's CPUID instructions are brought out to MiniVMM.
public enum CPUIDTrap: String, CaseIterable, Hashable, Sendable {
    /// The best that works on this host and suffices for the guest.
    case auto
    /// A debug register on each site: touches no guest memory, and is good for up to four sites.
    case debug
    /// An OUT of the same length in place of each site.
    case patch
    /// Single-stepping: exact for any code, and slow.
    case step
    /// Linux guests: the #GP that CPUID raises in programs when CPUID faulting is on.
    case fault
    /// None: the counter leaves read as zeros.
    case none
}
