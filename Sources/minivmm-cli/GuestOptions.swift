import ArgumentParser
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
        if let builtIn = name.flatMap(BuiltInGuest.init(named:)) {
            return try Machine(kvm: KVM(path: kvmDevice), guest: flat(builtIn.image), options: options)
        }
        switch try BootImage(ImageFile(reading: file ?? "", limit: FlatGuest.greatestImageSize)) {
        case .flat(let file):
            return try Machine(kvm: KVM(path: kvmDevice), guest: flat(file.bytes), options: options)
        case .linux(let image):
            return try makeMachine(linux(.linux(image)), kvmDevice: kvmDevice, options: options)
        case .elfKernel(let image):
            return try makeMachine(linux(.elf(image)), kvmDevice: kvmDevice, options: options)
        }
    }

    private func makeMachine(_ guest: LinuxGuest, kvmDevice: String, options: MachineOptions) throws -> Machine {
        let kvm = try KVM(path: kvmDevice)
        let machine = try Machine(kvm: kvm, guest: guest, options: options)
        Diagnostics.warnUnlessLinuxBoots(kvm)
        return machine
    }

    private func flat(_ image: [UInt8]) throws -> FlatGuest {
        try refuse("--initrd", initrd != nil, "a Linux kernel")
        try refuse("--append", append != nil, "a Linux kernel")
        var guest = FlatGuest(image: image)
        if let memory { guest.memorySize = memory.rawValue }
        if let loadAddress { guest.loadAddress = loadAddress.value }
        guest.entry = entry
        guest.argument = argument
        return guest
    }

    private func linux(_ kernel: LinuxGuest.Kernel) throws -> LinuxGuest {
        try refuse("--load-address", loadAddress != nil, "a flat image")
        try refuse("--entry", entry != nil, "a flat image")
        try refuse("--argument", argument != 0, "a flat image")
        var guest = LinuxGuest(kernel: kernel)
        if let memory { guest.memorySize = memory.rawValue }
        if let append { guest.commandLine = append }
        guest.initrd = try initrd.map { try ImageFile(reading: $0, limit: guest.memorySize) }
        return guest
    }

    private func refuse(_ option: String, _ isGiven: Bool, _ kind: String) throws {
        if isGiven { throw ValidationError("\(option) is for \(kind), and this guest is none.") }
    }
}
