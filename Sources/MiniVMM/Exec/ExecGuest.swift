import GuestImages

/// A Linux guest that runs one program: its root file system, and what its kernel is told.
public struct ExecGuest: Sendable {
    /// The archive of the root file system.
    public let initrd: ImageFile
    /// The bytes of all files in it.
    public let contentSize: Int

    /// Where init stands in the guest: out of the way.
    private static let initPath = "/.minivmm/init"
    /// What the archive is called in errors: no file has its name.
    private static let archiveName = "the guest's root file system"

    /// Puts together what a program needs.
    ///
    /// - Throws: ``ExecError``.
    public init(_ program: ExecProgram) throws(ExecError) {
        try self.init(program, host: HostFiles())
    }

    init(_ program: ExecProgram, host: HostFiles) throws(ExecError) {
        var builder = ExecTreeBuilder(program, host: host)
        let path = try SearchPath(text: program.searchPath).find(program.name, from: program.directory, in: host)
        for addition in program.additions { try builder.add(addition) }
        try builder.add(program: path)
        try builder.addSystem()

        var order = ExecOrder(
            program: Array(path.utf8),
            directory: Array(program.directory.utf8),
            arguments: program.arguments,
            environment: program.environment.settings)
        order.mergesOutput = program.mergesOutput
        try builder.tree.addFile(ExecOrder.path, bytes: order.encoded())
        try builder.tree.addFile(Self.initPath, bytes: Self.initImage, mode: 0o755)
        initrd = ImageFile(path: Self.archiveName, bytes: try builder.tree.initramfs())
        contentSize = builder.tree.size
    }

    /// The init that MiniVMM brings along.
    static var initImage: [UInt8] {
        // Sound: the image is a constant that lies between the two addresses.
        Array(UnsafeBufferPointer(start: guest_init_image(), count: guest_init_size()))
    }

    /// The kernel's command line.
    ///
    /// - Parameter showsKernelLog: Whether the kernel prints all messages on its console, not only the gravest.
    public static func commandLine(showsKernelLog: Bool) -> String {
        // One serial port is all there is: a search for more would be some hundred exits.
        let line = "\(LinuxGuest.defaultCommandLine) 8250.nr_uarts=1 rdinit=\(initPath)"
        return showsKernelLog ? line : line + " quiet"
    }

    /// The least memory with which the guest starts, in bytes.
    ///
    /// The kernel unpacks the archive while it still holds it, into a file system that may take half of the memory.
    public var leastMemorySize: UInt64 {
        let unpacked = UInt64(contentSize) + Self.fileSystemOverhead
        let needed = max(UInt64(initrd.bytes.count) + unpacked, 2 * unpacked) + Self.kernelSize
        return Self.rounded(needed, to: Self.unit)
    }

    /// The memory that the guest gets unless told otherwise, in bytes.
    public var defaultMemorySize: UInt64 {
        // With some for the program.
        Self.rounded(leastMemorySize + LinuxGuest.defaultMemorySize, to: Self.memoryStep)
    }

    private static func rounded(_ size: UInt64, to step: UInt64) -> UInt64 {
        (size + step - 1) / step * step
    }

    /// Directories, links, and the last page of each file.
    private static let fileSystemOverhead: UInt64 = 4 << 20
    /// What a distribution's kernel takes for itself: code, data, and a descriptor for each page.
    private static let kernelSize: UInt64 = 96 << 20
    private static let unit: UInt64 = 1 << 20
    private static let memoryStep: UInt64 = 64 << 20
}
