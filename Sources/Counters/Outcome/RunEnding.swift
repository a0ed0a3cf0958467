public import Host

/// How a run ended.
public enum RunEnding: Sendable {
    /// The guest halted for good.
    case halted
    /// The guest wrote a value to the exit port.
    case exitPort(UInt8)
    /// The program that the guest was made for has ended, with this exit status.
    case programExited(UInt8)
    /// The program that the guest was made for was killed in it, by the signal with this number.
    case programKilled(Int32)
    /// The guest switched the machine off.
    case poweredOff
    /// The guest reset the machine.
    case reset
    /// The guest's kernel panicked and reset the machine.
    case panicked
    /// The guest died.
    case died(GuestDeath)
    /// The time given for the run was up.
    case timeout
    /// A signal with this number ended the run.
    case signal(Int32)
    /// The program that embeds the library ended the run.
    case stopped
    /// MiniVMM could not go on.
    case failed(any DiagnosticError)
}

extension RunEnding {
    /// The name in the JSON format.
    public var name: String {
        switch self {
        case .halted: "halted"
        case .exitPort: "exit_port"
        case .programExited: "program_exited"
        case .programKilled: "program_killed"
        case .poweredOff: "powered_off"
        case .reset: "reset"
        case .panicked: "panicked"
        case .died: "died"
        case .timeout: "timeout"
        case .signal: "signal"
        case .stopped: "stopped"
        case .failed: "failed"
        }
    }

    /// What happened, in words.
    public var summary: String {
        switch self {
        case .halted: "the guest halted"
        case .exitPort(let value): "the guest exited with status \(value)"
        case .programExited(let status): "the program exited with status \(status)"
        case .programKilled(let signal): "signal \(signal) killed the program in the guest"
        case .poweredOff: "the guest powered off"
        case .reset: "the guest reset the machine"
        case .panicked: "the guest's kernel panicked"
        case .died(let death): "the guest died: \(death.cause.summary)"
        case .timeout: "the timeout was reached"
        case .signal(let number): "signal \(number) ended the run"
        case .stopped: "the run was stopped"
        case .failed(let error): "MiniVMM could not go on: \(error.clause)"
        }
    }
}
