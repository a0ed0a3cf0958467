/// How a process ended, or came to a stop.
enum ProcessEnd: Equatable {
    /// By itself, with a status.
    case exited(Int32)
    /// By a signal.
    case signaled(Int32)
    /// By a signal that makes it wait until it is continued.
    case stopped(Int32)

    /// Reads what waitpid(2) stored. Source: wait(2), WIFEXITED and its kin, which Swift does not import.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        let status = waitStatus >> 8 & 0xff
        self =
            switch signal {
            case 0: .exited(status)
            case 0x7f: .stopped(status)
            default: .signaled(signal)
            }
    }
}
