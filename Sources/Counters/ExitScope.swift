/// Which of a guest's exits are counted.
public enum ExitScope: String, CaseIterable, Hashable, Sendable {
    /// Those that reach MiniVMM. They cost nothing more, and work everywhere.
    case user
    /// The same, and KVM's own count as the total, which includes the exits that KVM settles alone.
    case total
    /// Every exit by reason, those that KVM settles alone included, by programs at KVM's tracepoints.
    case all
    /// ``all`` where it works, else ``user``.
    case auto
}
