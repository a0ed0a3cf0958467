import Devices
public import Memory

/// A Linux guest: a kernel, and what it is given.
public struct LinuxGuest: Guest {
    /// The kernel.
    public var kernel: any LinuxKernel
    /// The archive of the first root file system.
    public var initrd: ImageFile?
    /// The kernel's command line.
    public var commandLine = LinuxGuest.defaultCommandLine
    /// The size of the guest's memory, in bytes.
    public var memorySize = LinuxGuest.defaultMemorySize

    /// A guest with the given kernel.
    public init(kernel: any LinuxKernel) {
        self.kernel = kernel
    }

    /// A guest with what it is to be given.
    ///
    /// - Throws: ``GuestSettingError`` for settings of flat guests; ``ImageError`` when the initrd cannot be read.
    init(kernel: any LinuxKernel, _ settings: GuestSettings) throws {
        try settings.refuse([.module, .loadAddress, .entry, .argument, .screen])
        self.init(kernel: kernel)
        if let memorySize = settings.memorySize { self.memorySize = memorySize }
        commandLine = settings.commandLine(standard: Self.defaultCommandLine)
        initrd = try settings.initrd.map { try ImageFile(opening: $0, limit: memorySize) }
    }

    /// The command line with what the machine's components add. What is said by default of the console makes way for
    /// theirs.
    private func commandLine(on platform: GuestPlatform) -> String {
        let hasConsole = platform.kernelArguments.contains { $0.hasPrefix("console=") }
        let isDefault = commandLine.hasPrefix(Self.defaultCommandLine)
        let own = hasConsole && isDefault ? commandLine.dropFirst(Self.serialConsole.count) : commandLine[...]
        return ([String(own)] + platform.kernelArguments).joined(separator: " ")
    }

    /// A console on the serial port, a reset after a panic, and no search for a PCI bus, which the machine lacks.
    public static let defaultCommandLine = "\(serialConsole)panic=-1 pci=off"
    private static let serialConsole = "console=ttyS0 "
    /// 512 MiB.
    public static let defaultMemorySize: UInt64 = 512 << 20

    public var code: GuestCode { .operatingSystem }
    public var wantsInterruptControllers: Bool { true }
    public var wantsACPI: Bool { true }
    public var hasFirmwareStubs: Bool { false }
    public var resetsByTripleFault: Bool { RebootMethod(commandLine: commandLine) == .tripleFault }

    public func makeMemory() throws -> GuestMemory {
        try GuestMemory(layout: BootLayout.regions(memorySize: memorySize))
    }

    public func load(into memory: GuestMemory, on platform: GuestPlatform) throws -> LoadedGuest {
        let arguments = BootArguments(
            commandLine: commandLine(on: platform),
            initrd: initrd,
            acpiRootPointer: platform.acpiRootPointer)
        return try kernel.load(into: memory, arguments: arguments)
    }
}

/// How a kernel was told to reset the machine.
enum RebootMethod: Character {
    case bios = "b"
    case acpi = "a"
    case keyboard = "k"
    case tripleFault = "t"
    case efi = "e"
    case pciForced = "p"
    case pciSafe = "q"

    /// What the last `reboot=` says that says anything. Source: Linux, kernel/reboot.c, reboot_setup().
    package init?(commandLine: String) {
        var method: Self?
        for word in commandLine.split(whereSeparator: \.isWhitespace) {
            // What follows is for the init program.
            if word == "--" { break }
            guard word.hasPrefix(Self.parameter) else { continue }
            for part in word.dropFirst(Self.parameter.count).split(separator: ",")
            where !part.hasPrefix(Self.ofPanics) {
                if let named = part.first.flatMap(Self.init(rawValue:)) { method = named }
            }
        }
        guard let method else { return nil }
        self = method
    }

    private static let parameter = "reboot="
    /// Such a part says how to reset after a panic: warm, cold, hard and so on, not by what means.
    private static let ofPanics = "panic_"
}

/// A Linux kernel in some form.
public protocol LinuxKernel: Sendable {
    /// Loads the kernel and what it is given into memory that is still zero.
    ///
    /// - Parameters:
    ///   - memory: Memory that ``BootLayout/regions(memorySize:)`` laid out.
    ///   - arguments: The command line, the initrd, and where the ACPI tables are.
    /// - Throws: ``ImageError`` when something does not fit.
    func load(into memory: GuestMemory, arguments: BootArguments) throws(ImageError) -> LoadedGuest
}

extension LinuxImage: LinuxKernel, GuestLoader {
    public static func probe(_ bytes: [UInt8]) -> Bool {
        SetupHeader.isPresent(in: bytes)
    }

    public static func guest(_ file: ImageFile, _ settings: GuestSettings) throws -> any Guest {
        try LinuxGuest(kernel: LinuxImage(file), settings)
    }
}

extension ELFKernel: LinuxKernel, GuestLoader {
    public static func probe(_ bytes: [UInt8]) -> Bool {
        ELFIdentity.isPresent(in: bytes)
    }

    public static func guest(_ file: ImageFile, _ settings: GuestSettings) throws -> any Guest {
        try LinuxGuest(kernel: ELFKernel(file), settings)
    }
}
