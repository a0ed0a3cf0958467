import ArgumentParser
import Boot
import Counters
import Devices
import Exec
import Glibc
import KVM
import Logging
import MiniVMM

/// `minivmm exec`: runs one Linux program in a guest of its own.
struct ExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run one Linux program in a guest of its own.",
        discussion: """
            The program finds itself in a Linux guest with the kernel given, with all files that it needs to start, and \
            in a directory of the same name as here. Standard input, output and error are the program's, and the exit \
            status is its own: 128 plus the signal's number if a signal killed it.

            124: --timeout. 126, 127: the program cannot be executed, or is not there. The others are those of \
            `minivmm run`.
            """
    )

    @OptionGroup(title: "Guest") var guest: ExecOptions
    @OptionGroup var session: SessionOptions

    func validate() throws {
        try session.configuration.validate(exits: .auto)
    }

    func run() throws {
        // A reader of standard output that has gone is for the program to notice, as it would without a guest.
        signal(SIGPIPE, SIG_IGN)
        // Likewise a file that may grow no more.
        signal(SIGXFSZ, SIG_IGN)
        let session = session.configuration
        try Diagnostics.report {
            let inputs = guest.kernel.elements + session.devices.disks.map(\.path)
            if let status = try session.repeated(inputs: inputs) { return status }
            var run = try RunSession(session, inputs: inputs)
            run.options.exits = session.cpuid.exits ?? .auto
            let log = try guest.openKernelLog()
            run.options.consoleDescriptor = log.descriptor
            _ = try run.openDevices(tags: session.devices.shareTags)
            run.confine(isFlat: false)
            let symbols = run.options.recording.placeCapacity.map { _ in ProgramSymbols() }
            run.options.components.append(ProgramChannel(symbols: symbols))
            let (image, codeFiles) = try makeGuest(session, sendsSymbols: symbols != nil)
            let kvm = try KVM(path: session.host.kvmDevice)
            if session.host.force { Diagnostics.announceForcedLinux(kvm) }
            let machine = try Machine(kvm: kvm, guest: image, options: run.options)
            let outcome = try run.run(machine, title: guest.programName, input: .stream(STDIN_FILENO))
            if let symbols { run.outputs.profiles.add(symbols, files: codeFiles) }
            try run.outputs.write(
                outcome, leaves: run.options.leaves, machine: machine, guest: guest.displayName,
                program: guest.programName)
            try run.finish()
            if Self.saysNothingOfProgram(outcome.ending) { throw ExecError.noStatus }
            return try machine.exitStatus(after: outcome.ending)
        }
    }

    /// Makes the guest. Where there is no kernel, one would not help if Linux cannot boot: that is said first.
    private func makeGuest(
        _ session: SessionConfiguration, sendsSymbols: Bool
    ) throws -> (guest: LinuxGuest, files: [String: [UInt8]]) {
        do {
            return try guest.makeGuest(sendsSymbols: sendsSymbols, devices: session.devices)
        } catch ExecError.noKernel(let directory) {
            if !session.host.force { try KVM(path: session.host.kvmDevice).requireLinuxSupport() }
            throw ExecError.noKernel(directory: directory)
        }
    }

    /// Whether the guest ended in a way that would be well for another guest, and leaves open what its program did.
    private static func saysNothingOfProgram(_ ending: RunEnding) -> Bool {
        switch ending {
        case .halted, .exitPort, .poweredOff, .reset, .panicked: true
        case .programExited, .programKilled, .died, .timeout, .signal, .stopped, .failed: false
        }
    }
}
