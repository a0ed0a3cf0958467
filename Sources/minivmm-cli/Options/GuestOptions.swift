import ArgumentParser
import Boot
import Host
import Memory

/// The options that say which guest to run, and how it is loaded.
struct GuestOptions: ParsableArguments {
    @Argument(
        help: """
            A Linux kernel (bzImage, or ELF with a PVH note), a Multiboot kernel, or a flat 16-bit image such as a boot \
            sector; - for standard input.
            """,
        completion: .file())
    var file: String?

    @Option(
        name: .customLong("guest"), help: "A built-in guest in place of FILE; `minivmm guests` lists them.",
        completion: .list(BuiltInGuest.all.map(\.name)))
    var name: String?

    @Option(help: "The guest's memory, as in 64M or 2G. (default: 16M; 512M for Linux, 128M for Multiboot)")
    var memory: ByteCount?

    @Option(
        help: ArgumentHelp("Linux: the initial RAM disk; Multiboot: the first module.", valueName: "file"),
        completion: .file())
    var initrd: String?

    @Option(
        name: .customLong("module"),
        help: ArgumentHelp(
            "Multiboot: a module, and what the kernel is told of it; repeatable. (default: its name)",
            valueName: "file[:text]"),
        completion: .file())
    var modules: [ModuleArgument] = []

    @Option(
        help: ArgumentHelp(
            "More arguments for the kernel; for Linux, after \(LinuxGuest.defaultCommandLine).", valueName: "args"))
    var append: String?

    @Flag(help: "Linux: leave the default arguments out.")
    var noDefaultAppend = false

    @Option(help: "Where the image is loaded. (default: 0x7c00)")
    var loadAddress: AddressArgument?

    @Option(help: ArgumentHelp("Where the guest starts. (default: where it is loaded)", valueName: "seg:off"))
    var entry: SegmentedAddress?

    @Option(help: ArgumentHelp("A number that the guest finds in ECX.", valueName: "number"))
    var argument = GuestConfiguration().argument

    @Flag(help: "Show the lines of a PC's screen, the text memory at 0xB8000, on the console; not for Linux.")
    var screen = false

    /// What they ask for.
    var configuration: GuestConfiguration {
        GuestConfiguration(
            file: file, name: name, memory: memory, initrd: initrd,
            modules: modules.map(\.value), append: append, hasDefaultAppend: !noDefaultAppend,
            loadAddress: loadAddress?.value, entry: entry, argument: argument, hasScreen: screen)
    }

    func validate() throws {
        try configuration.validate()
    }
}
