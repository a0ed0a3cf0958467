import ArgumentParser
import Boot
import Exec
import Glibc
import Host
import MiniVMM

/// Which program to run, and what its guest is made of.
struct ExecOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The guest's kernel: a bzImage, or an ELF kernel with a PVH note. (default: the newest vmlinuz in "
                + "\(InstalledKernels.directory))", valueName: "file"),
        completion: .file())
    var kernel: String?

    @Option(help: "The guest's memory, as in 512M or 2G. (default: as much as the files need, and 512M)")
    var memory: ByteCount?

    @Option(
        name: .customLong("env"),
        help: ArgumentHelp(
            "Set a variable for the program; NAME alone passes on the one here. Repeatable. "
                + "(default: PATH, HOME, TERM)", valueName: "name=value"))
    var settings: [String] = []

    @Option(
        name: .customLong("add"),
        help: ArgumentHelp(
            "Put a file, with what it needs to run, or a directory into the guest, at the same path or at DESTINATION. "
                + "Repeatable.", valueName: "source[:destination]"))
    var additions: [String] = []

    @Option(
        help: ArgumentHelp(
            "More arguments for the kernel, after \(LinuxGuest.defaultCommandLine).", valueName: "args"))
    var append: String?

    @Flag(help: "Leave the default arguments out, but for what names the guest's init.")
    var noDefaultAppend = false

    @Flag(help: "Show the kernel's log on standard error.")
    var kernelLog = false

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp(
            "The program, a path or a name to look for in PATH, and its arguments.", valueName: "program"))
    var command: [String]

    func validate() throws {
        if let word = command.first, word.hasPrefix("-"), word != "--" {
            throw ValidationError("Unknown option '\(word)'")
        }
        if words.isEmpty { throw ValidationError("Give a program to run: minivmm exec -- PROGRAM ARGUMENT…") }
    }

    /// What reports call the guest: the program's command line.
    var displayName: String { words.map(ForeignText.text).joined(separator: " ") }

    /// The program's name, without its folder.
    var programName: String {
        ForeignText.text(words[0].split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? words[0])
    }

    /// The program and its arguments, without what divides them from the options.
    ///
    /// They are not ours to parse: ArgumentParser has seen the first of them at most, see ``CommandWords``.
    private var words: [[UInt8]] {
        if let program = CommandWords.ofThisProcess.program { return program }
        return (command.first == "--" ? Array(command.dropFirst()) : command).map(ForeignText.bytes)
    }

    /// Makes the guest that the options ask for.
    ///
    /// - Parameters:
    ///   - sendsSymbols: Whether addresses in it are to be named.
    ///   - devices: What it has besides.
    /// - Returns: The guest, and the programs and libraries in it by their paths.
    func makeGuest(
        sendsSymbols: Bool, devices: DeviceConfiguration
    ) throws -> (guest: LinuxGuest, files: [String: [UInt8]]) {
        var program = try program()
        program.sendsSymbols = sendsSymbols
        if !devices.drivers.isEmpty {
            program.drivers = ExecDrivers(devices.drivers, of: try ImageFile(opening: kernelPath()))
        }
        program.shares = devices.programShares
        program.nameServer = devices.nameServer
        let image = try ExecGuest(program)
        for note in image.notes { StandardError.write("minivmm: \(note.explanation)\n") }
        var guest = try loadKernel()
        guest.memorySize = memory?.rawValue ?? image.defaultMemorySize
        guard guest.memorySize >= image.leastMemorySize
        else { throw ExecError.memoryTooSmall(guest.memorySize, needed: image.leastMemorySize) }
        guest.initrd = image.initrd
        guest.commandLine =
            noDefaultAppend ? ExecGuest.leastCommandLine : ExecGuest.commandLine(showsKernelLog: kernelLog)
        if let append { guest.commandLine += " " + append }
        return (guest, image.codeFiles)
    }

    private func kernelPath() throws -> String { try kernel ?? InstalledKernels.newest() }

    private func loadKernel() throws -> LinuxGuest {
        let path = try kernelPath()
        let file = try ImageFile(opening: path)
        guard let guest = try GuestLoaders.guest(file) as? LinuxGuest
        else { throw ImageError.unsupported(path: path, ImageFormat(detecting: file)) }
        return guest
    }

    private func program() throws -> ExecProgram {
        let words = words
        var program = ExecProgram(name: ForeignText.text(words.first ?? []), arguments: Array(words.dropFirst()))
        program.directory = try Self.currentDirectory()
        if let path = RawArguments.environment("PATH") { program.searchPath = ForeignText.text(path) }
        program.environment = try environment()
        program.additions = additions.map(ExecAddition.init)
        program.mergesOutput = Self.isSame(STDOUT_FILENO, STDERR_FILENO)
        return program
    }

    private func environment() throws -> ExecEnvironment {
        var environment = ExecEnvironment(terminal: RawArguments.environment("TERM") ?? Array("dumb".utf8))
        for setting in settings {
            let bytes = ForeignText.bytes(setting)
            if bytes.contains(UInt8(ascii: "=")) {
                try environment.set(bytes)
            } else if let value = RawArguments.environment(setting) {
                try environment.set(bytes + Array("=".utf8) + value)
            }
        }
        return environment
    }

    private static func currentDirectory() throws -> String {
        guard let directory = unsafe getcwd(nil, 0)
        else { throw ExecError.unreadable(path: ".", ErrorNumber(rawValue: errno)) }
        defer { unsafe free(directory) }
        // Sound: getcwd(3) returns a string that ends with a zero, to be freed.
        return unsafe ForeignText.text(UnsafeRawBufferPointer(start: directory, count: strlen(directory)))
    }

    /// Whether two descriptors lead to the same place.
    private static func isSame(_ one: Int32, _ other: Int32) -> Bool {
        var (first, second) = (stat(), stat())
        guard unsafe fstat(one, &first) == 0, unsafe fstat(other, &second) == 0 else { return false }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    /// Where the kernel's log goes.
    func openKernelLog() throws -> OutputFile {
        kernelLog ? .standardError : try OutputFile(creating: "/dev/null")
    }
}
