import ArgumentParser
import Doctor
import Host
import KVM
import MiniVMM

/// `minivmm doctor`: what this host offers.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what this host's KVM can do, and what to do about what it cannot.",
        discussion: "The exit status is 0 when MiniVMM can run guests here, else 69."
    )

    @Flag(help: "Print one JSON object.")
    var json = false

    @Option(help: ArgumentHelp("The KVM device.", valueName: "path"))
    var kvmDevice = KVM.defaultDevicePath

    func run() throws {
        try Diagnostics.report {
            let diagnosis = HostDiagnosis(devicePath: kvmDevice)
            let text = json ? try DoctorRecord(diagnosis).json() : Array(DoctorReport(diagnosis).text.utf8)
            try OutputFile.standardOutput.write(text)
            return diagnosis.isUsable ? .success : .kvmUnavailable
        }
    }
}
