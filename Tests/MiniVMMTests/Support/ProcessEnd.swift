/// How a process ended.
enum ProcessEnd: Equatable {
    /// By itself, with a status.
    case exited(Int32)
    /// By a signal.
    case signaled(Int32)

    /// Reads what waitpid(2) stored. Source: wait(2), WIFEXITED and its kin, which Swift does not import.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited(waitStatus >> 8 & 0xff) : .signaled(signal)
    }
}
