import ArgumentParser
import MiniVMM

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
            status = error.exitStatus
        }
        if status != .success { throw ExitCode(status.rawValue) }
    }

    /// Says so where Linux cannot boot. A kernel may run for minutes until it meets what is missing; and one that does
    /// without is welcome to try.
    static func warnUnlessLinuxBoots(_ kvm: KVM) {
        guard let support = try? kvm.linuxSupport(), let remedy = support.remedy else { return }
        StandardError.write("minivmm: \(support.verdict)\n\(remedy)\n")
    }

    /// Shows an error: what happened, and what to do about it.
    static func show(_ error: any DiagnosticError) {
        StandardError.write("minivmm: \(error.explanation)\n\(error.remedy)\n")
    }
}
