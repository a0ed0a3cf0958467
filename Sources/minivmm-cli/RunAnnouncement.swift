import Glibc
import MiniVMM

/// Says how a run ended, where that is more than the guest's own ending.
enum RunAnnouncement {
    static func announce(_ outcome: RunOutcome) {
        switch outcome.ending {
        case .halted, .exitPort, .programExited, .poweredOff: break
        // What happens to every program whose reader has gone. Shells say nothing either.
        case .programKilled(SIGPIPE): break
        case .programKilled, .reset, .panicked, .timeout, .signal, .stopped:
            StandardError.write("minivmm: \(outcome.ending.summary).\n")
        case .died(let death): StandardError.write(DeathReport(death).text)
        case .failed(let error): Diagnostics.show(error)
        }
    }
}
