import ArgumentParser
import MiniVMM

/// Which guest to run, and how it is loaded.
struct GuestOptions: ParsableArguments {
    @Argument(help: "The guest's image: a flat 16-bit image such as a boot sector.", completion: .file())
    var file: String?

    @Option(name: .customLong("guest"), help: "A built-in guest in place of FILE; `minivmm guests` lists them.")
    var name: String?

    @Option(help: "The guest's memory: a number of bytes, or one with K, M or G. (default: 16M)")
    var memory: ByteCount?

    @Option(help: "Where the image is loaded. (default: 0x7c00)")
    var loadAddress: AddressArgument?

    @Option(help: ArgumentHelp("Where the guest starts. (default: where it is loaded)", valueName: "seg:off"))
    var entry: SegmentedAddress?

    @Option(help: ArgumentHelp("A number that the guest finds in ECX.", valueName: "number"))
    var argument: UInt32 = 0

    func validate() throws {
        switch (file, name) {
        case (nil, nil):
            throw ValidationError("Give the file of a guest, or --guest NAME; `minivmm guests` lists names.")
        case (_?, _?): throw ValidationError("Give either a file or --guest, not both.")
        default: break
        }
        if let name, BuiltInGuest(named: name) == nil { throw UnknownGuest.error(name) }
    }

    /// The guest that the options ask for.
    func load() throws -> FlatGuest {
        var guest = FlatGuest(image: try image())
        if let memory { guest.memorySize = memory.rawValue }
        if let loadAddress { guest.loadAddress = loadAddress.value }
        guest.entry = entry
        guest.argument = argument
        return guest
    }

    private func image() throws -> [UInt8] {
        if let builtIn = name.flatMap(BuiltInGuest.init(named:)) { return builtIn.image }
        let file = try ImageFile(reading: file ?? "", limit: FlatGuest.greatestImageSize)
        let format = ImageFormat(detecting: file.bytes)
        guard format == .flat else { throw ImageError.unsupported(path: file.path, format) }
        return file.bytes
    }
}
