@testable import Boot
@testable import Devices
@testable import Exec
@testable import Host
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// A Linux guest that a test boots. What it does is a script, run by busybox as its first process.
struct LinuxBoot {
    /// The lines of the script; nil for no initial RAM disk.
    var script: String?
    /// The kernel; nil for that of the bed, as it is.
    var kernel: (any LinuxKernel)?
    var memorySize: UInt64 = 128 << 20
    /// What the kernel's command line has besides.
    var arguments = "quiet"
    /// Files besides busybox, by path.
    var files: [String: [UInt8]] = [:]
    /// What is typed when the guest has printed ``prompt``.
    var input: [UInt8] = []
    var timeout = LinuxBoot.limit
    /// What the machine has besides the standard components.
    var components: [any Component] = []

    /// What the script prints when it waits for ``input``.
    static let prompt = "ready for input"
    /// How long a boot may take: far more than any needs, so that a hang is a failure and not a hang of the tests.
    static let limit = Duration.seconds(300)

    init(_ script: String?) {
        self.script = script
    }

    /// Boots, and waits for the end.
    ///
    /// - Throws: `XCTSkip` where something is missing on this bed.
    func run() throws -> LinuxRun {
        let kvm = try LinuxBed.kvm()
        var guest = LinuxGuest(kernel: try kernel ?? LinuxImage(LinuxBed.kernel()))
        guest.memorySize = memorySize
        guest.commandLine = "console=ttyS0 panic=-1 pci=off " + arguments
        guest.initrd = try script.map { try Self.initrd(script: $0, files: files) }
        let (output, typing) = (try PipeEnds(), try PipeEnds())
        var options = MachineOptions()
        options.consoleDescriptor = output.writer
        options.components = components
        let machine = try Machine(kvm: kvm, guest: guest, options: options)

        let peer = ConsolePeer(reading: output.reader, typing: input, after: Self.prompt, into: typing.writer)
        let listening = try PosixThread(name: "console peer") { peer.run() }
        let outcome = Result {
            try machine.run(timeout: timeout, input: input.isEmpty ? nil : .stream(typing.reader))
        }
        output.closeWriter()
        listening.join()
        return LinuxRun(
            outcome: try outcome.get(), console: peer.text,
            interruptTable: try? machine.runners.first?.vcpu.specialRegisters().idt.base)
    }

    static func initrd(script: String, files: [String: [UInt8]]) throws -> ImageFile {
        // The shell finds its own commands through /proc.
        let start = """
            #!/bin/busybox sh
            /bin/busybox mount -t proc none /proc
            mount -t devtmpfs none /dev
            mount -t sysfs none /sys

            """
        var archive = Initramfs()
        for folder in ["dev", "proc", "sys", "tmp"] { try archive.addDirectory(folder) }
        try archive.addFile("bin/busybox", contents: LinuxBed.busybox(), mode: 0o755)
        try archive.addFile("init", contents: Array((start + script + "\n").utf8), mode: 0o755)
        for (path, contents) in files { try archive.addFile(path, contents: contents) }
        return ImageFile(path: "initramfs", bytes: archive.archive)
    }
}
