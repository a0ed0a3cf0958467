import ArgumentParser
import Counters
import Glibc
import Host
import KVM
import MiniVMM
import Report

/// How errors reach the person, and the exit status the shell.
enum Diagnostics {
    /// Runs a command's work and ends the command with the status that it returns, or that its error has.
    static func report(_ work: () throws -> ExitStatus) throws {
        StandardDescriptors.fill()
        let status: ExitStatus
        do {
            status = try work()
        } catch let error as any DiagnosticError {
            show(error)
            status = exitStatus(of: error)
        }
        if status != .success { throw ExitCode(status.rawValue) }
    }

    /// Says so where Linux cannot boot and is tried all the same: what comes of it is then no riddle.
    static func announceForcedLinux(_ kvm: KVM) {
        guard let support = try? kvm.linuxSupport(), !support.isComplete else { return }
        StandardError.write("minivmm: \(support.verdict)\nIt is tried all the same.\n")
    }

    /// Shows an error: what happened, and what to do about it.
    static func show(_ error: any DiagnosticError) {
        let remedy = remedy(for: error)
        StandardError.write("minivmm: \(error.explanation)\n" + (remedy.isEmpty ? "" : remedy + "\n"))
    }

    /// What to do about an error; nothing about one that the command does not know, such as a component's own.
    static func remedy(for error: any DiagnosticError) -> String {
        (error as? any CommandError)?.remedy ?? ""
    }

    /// The exit status of a command that fails with an error.
    static func exitStatus(of error: any DiagnosticError) -> ExitStatus {
        (error as? any CommandError)?.exitStatus ?? .internalFault
    }
}

/// Says how a run ended, where that is more than the guest's own ending.
enum RunAnnouncement {
    /// - Parameter functionName: What names the guest's functions, where there are symbols.
    static func announce(_ outcome: RunOutcome, functionName: (@Sendable (UInt64) -> String?)? = nil) {
        switch outcome.ending {
        case .halted, .exitPort, .programExited, .poweredOff: break
        // What happens to every program whose reader has gone. Shells say nothing either.
        case .programKilled(SIGPIPE): break
        case .programKilled, .reset, .panicked, .timeout, .signal, .stopped:
            StandardError.write("minivmm: \(outcome.ending.summary).\n")
        case .died(let death):
            StandardError.write(DeathReport(death, remedy: death.remedy, functionName: functionName).text)
        case .failed(let error): Diagnostics.show(error)
        }
    }
}
