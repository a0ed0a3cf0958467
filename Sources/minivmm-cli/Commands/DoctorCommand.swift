import ArgumentParser
import Doctor
import Host
import KVM
import MiniVMM
import Report

/// `minivmm doctor`: what this host offers.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what this host's KVM can do, and what to do about what it cannot.",
        discussion: """
            The exit status is 0 when MiniVMM can run guests here, else 69. With --vmx it is 0 when VMX capability \
            MSRs could be read, else 69.
            """
    )

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(
        help: """
            Show the VMX capability MSRs instead, control by control: the processor's own (as root, with the module \
            msr), and those that KVM offers to guests.
            """)
    var vmx = false

    @Option(help: ArgumentHelp("The KVM device.", valueName: "path"))
    var kvmDevice = KVM.defaultDevicePath

    func run() throws {
        try Diagnostics.report {
            if vmx { return try showVMX() }
            let diagnosis = HostDiagnosis(devicePath: kvmDevice)
            let text =
                json
                ? try DoctorRecord(diagnosis, remedies: .command).json()
                : Array((DoctorReport(diagnosis, remedies: .command).text + confinement).utf8)
            try OutputFile.standardOutput.write(text)
            return diagnosis.isUsable ? .success : .kvmUnavailable
        }
    }

    /// What confines runs, on lines of a terminal.
    private var confinement: String {
        TextLines.wrapped(Confinement.description).map { $0 + "\n" }.joined()
    }

    private func showVMX() throws -> ExitStatus {
        let diagnosis = VMXDiagnosis(devicePath: kvmDevice)
        let remedy: @Sendable (any DiagnosticError) -> String = { Diagnostics.remedy(for: $0) }
        let text =
            json
            ? try VMXRecord(diagnosis, remedy: remedy).json()
            : Array(VMXReport(diagnosis, remedy: remedy).text.utf8)
        try OutputFile.standardOutput.write(text)
        return diagnosis.isReadable ? .success : .kvmUnavailable
    }
}

extension DoctorRemedies {
    /// What this command says.
    static let command = DoctorRemedies(problem: { Diagnostics.remedy(for: $0) }, linux: { $0.remedy })
}
