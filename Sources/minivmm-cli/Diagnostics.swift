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

    /// Shows an error: what happened, and what to do about it.
    static func show(_ error: any DiagnosticError) {
        StandardError.write("minivmm: \(error.explanation)\n\(error.remedy)\n")
    }
}
