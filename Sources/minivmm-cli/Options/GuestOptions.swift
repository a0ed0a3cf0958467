import ArgumentParser
import Boot
import Host
import KVM
import Memory
import MiniVMM

/// Which guest to run, and how it is loaded.
struct GuestOptions: ParsableArguments {
    @Argument(
        help: "A Linux kernel (bzImage, or ELF with a PVH note) or a flat 16-bit image such as a boot sector.",
        completion: .file())
    var file: String?

    @Option(name: .customLong("guest"), help: "A built-in guest in place of FILE; `minivmm guests` lists them.")
    var name: String?

    @Option(help: "The guest's memory, as in 64M or 2G. (default: 16M; 512M for Linux)")
    var memory: ByteCount?

    @Option(help: ArgumentHelp("Linux: the initial RAM disk.", valueName: "file"), completion: .file())
    var initrd: String?

    @Option(
        help: ArgumentHelp(
            "Linux: the kernel's command line. (default: \(LinuxGuest.defaultCommandLine))", valueName: "args"))
    var append: String?

    @Option(help: "Where the image is loaded. (default: 0x7c00)")
    var loadAddress: AddressArgument?

    @Option(help: ArgumentHelp("Where the guest starts. (default: where it is loaded)", valueName: "seg:off"))
    var entry: SegmentedAddress?

    @Option(help: ArgumentHelp("A number that the guest finds in ECX.", valueName: "number"))
    var argument: UInt32 = 0

    /// Nothing given.
    static var defaults: GuestOptions {
        var options = GuestOptions()
        (options.file, options.name, options.memory, options.initrd) = (nil, nil, nil, nil)
        (options.append, options.loadAddress, options.entry, options.argument) = (nil, nil, nil, 0)
        return options
    }

    /// The guest, as a report names it.
    var displayName: String { name ?? file ?? "" }

    func validate() throws {
        switch (file, name) {
        case (nil, nil):
            throw ValidationError("Give the file of a guest, or --guest NAME; `minivmm guests` lists names.")
        case (_?, _?): throw ValidationError("Give either a file or --guest, not both.")
        default: break
        }
        if let name, BuiltInGuest(named: name) == nil { throw UnknownGuest.error(name) }
    }

    /// Makes the machine for the guest that the options ask for.
    func makeMachine(kvmDevice: String, options: MachineOptions) throws -> Machine {
        let guest: any Guest
        do {
            guest = try makeGuest()
        } catch let error as GuestSettingError {
            throw ValidationError(Self.complaint(error.setting))
        }
        let kvm = try KVM(path: kvmDevice)
        let machine = try Machine(kvm: kvm, guest: guest, options: options)
        if case .operatingSystem = guest.code { Diagnostics.warnUnlessLinuxBoots(kvm) }
        return machine
    }

    private func makeGuest() throws -> any Guest {
        var settings = GuestSettings()
        settings.memorySize = memory?.rawValue
        settings.initrd = initrd
        settings.commandLine = append
        settings.loadAddress = loadAddress?.value
        settings.entry = entry
        settings.argument = argument == 0 ? nil : argument
        if let builtIn = name.flatMap(BuiltInGuest.init(named:)) {
            return try FlatGuest(image: builtIn.image, settings)
        }
        return try GuestLoaders.guest(
            ImageFile(reading: file ?? "", limit: GuestLoaders.maximumImageSize), settings)
    }

    private static func complaint(_ setting: GuestSettings.Name) -> String {
        let (option, kind) =
            switch setting {
            case .initrd: ("--initrd", "a Linux kernel")
            case .commandLine: ("--append", "a Linux kernel")
            case .loadAddress: ("--load-address", "a flat image")
            case .entry: ("--entry", "a flat image")
            case .argument: ("--argument", "a flat image")
            }
        return "\(option) is for \(kind), and this guest is none."
    }
}

/// The complaint about a name that no built-in guest has.
enum UnknownGuest {
    static func error(_ name: String) -> ValidationError {
        let names = BuiltInGuest.all.map(\.name).joined(separator: ", ")
        return ValidationError("There is no built-in guest `\(name)`. There are: \(names).")
    }
}
