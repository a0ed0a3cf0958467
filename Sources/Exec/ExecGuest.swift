public import Boot
import GuestImages
import Host

/// A Linux guest that runs one program: its root file system, and what its kernel is told.
public struct ExecGuest: Sendable {
    /// The archive of the root file system.
    public let initrd: ImageFile
    /// The bytes of all files in it.
    public let contentSize: Int
    /// The programs and libraries in it by their paths, if the guest sends what names their addresses; else none.
    public let codeFiles: [String: [UInt8]]
    /// What was guessed at and could not be had.
    public let notes: [ExecNote]

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

    package init(_ program: ExecProgram, host: HostFiles) throws(ExecError) {
        var builder = ExecTreeBuilder(program, host: host)
        let path = try SearchPath(text: program.searchPath).find(program.name, from: program.directory, in: host)
        for addition in program.additions { try builder.add(addition) }
        try builder.add(program: path)
        try builder.addSystem()

        var order = ExecOrder(
            program: ForeignText.bytes(path),
            directory: ForeignText.bytes(program.directory),
            arguments: program.arguments,
            environment: program.environment.settings)
        order.mergesOutput = program.mergesOutput
        order.sendsSymbols = program.sendsSymbols
        order.hasNetwork = program.nameServer != nil
        order.modules = try program.drivers.add(to: &builder)
        if let server = program.nameServer {
            try builder.tree.addFile("/etc/resolv.conf", bytes: Array("nameserver \(server)\n".utf8))
        }
        for share in program.shares { order.shares.append(try builder.add(share)) }
        codeFiles = program.sendsSymbols ? builder.tree.codeFiles : [:]
        try builder.tree.addFile(ExecOrder.path, bytes: order.encoded())
        try builder.tree.addFile(Self.initPath, bytes: Self.initImage, mode: 0o755)
        initrd = ImageFile(path: Self.archiveName, bytes: try builder.tree.initramfs())
        contentSize = builder.tree.size
        notes = builder.sources.notes
    }

    /// The init that MiniVMM brings along.
    static var initImage: [UInt8] {
        // Sound: the image is a constant that lies between the two addresses.
        unsafe Array(UnsafeBufferPointer(start: guest_init_image(), count: guest_init_size()))
    }

    /// What the kernel's command line has to have: without it, the program is not started.
    public static var leastCommandLine: String { "rdinit=\(initPath)" }

    /// The kernel's command line.
    ///
    /// - Parameter showsKernelLog: Whether the kernel prints all messages on its console, not only the gravest.
    public static func commandLine(showsKernelLog: Bool) -> String {
        // One serial port is all there is: a search for more would be some hundred exits.
        let line = "\(LinuxGuest.defaultCommandLine) 8250.nr_uarts=1 \(leastCommandLine)"
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

/// A program that is to run in a Linux guest of its own, and what it is given.
public struct ExecProgram: Sendable {
    /// The program: a path, or a name that is looked for in ``searchPath``.
    public var name: String
    /// Its arguments, the name that it is told is its own first. Byte for byte what the program gets.
    public var arguments: [[UInt8]]
    /// Its environment.
    public var environment = ExecEnvironment()
    /// The working directory: on the host for relative paths, and the program's in the guest.
    public var directory = "/"
    /// Where the host's programs are looked for, as PATH has it.
    public var searchPath = SearchPath.standard.text
    /// What is put into the guest besides. The first to be put at a place has it.
    public var additions: [ExecAddition] = []
    /// Folders of the host that are mounted in the guest before the program starts. The machine has a device for each.
    public var shares: [ExecShare] = []
    /// Whether standard error goes where standard output goes, so that the two keep their order.
    public var mergesOutput = false
    /// Whether the guest hands over what names addresses in it, see ``ProgramChannel/symbols``. Its init traces the program
    /// for that, which takes some hundred exits more.
    public var sendsSymbols = false

    /// The address of a name server, where the guest's first network interface is to be set up: as 10.0.2.15/24, with the
    /// gateway 10.0.2.2.
    public var nameServer: String?

    /// The drivers that the guest's kernel must have. Those that are modules are put into the guest and loaded first.
    public var drivers = ExecDrivers()

    /// A program.
    ///
    /// - Parameters:
    ///   - name: The program: a path, or a name that is looked for.
    ///   - arguments: Its arguments, without its name.
    public init(name: String, arguments: [[UInt8]] = []) {
        self.name = name
        self.arguments = [ForeignText.bytes(name)] + arguments
    }
}

/// A file or directory of the host that is put into the guest besides what the program needs.
public struct ExecAddition: Hashable, Sendable {
    /// The path on the host.
    public let source: String
    /// The path in the guest; nil for the same.
    public let destination: String?

    /// An addition.
    public init(source: String, destination: String? = nil) {
        self.source = source
        self.destination = destination
    }

    /// Reads `SOURCE` or `SOURCE:DESTINATION`. The last colon divides.
    public init(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else {
            self.init(source: text)
            return
        }
        self.init(source: String(text[..<colon]), destination: String(text[text.index(after: colon)...]))
    }
}

/// A folder of the host that a program finds in its guest, live.
public struct ExecShare: Hashable, Sendable {
    /// The tag of its device.
    public let tag: String
    /// The path on the host.
    public let source: String
    /// The path in the guest; nil for the same.
    public let destination: String?
    /// Whether nothing in it can be changed.
    public let isReadOnly: Bool

    /// A folder.
    public init(tag: String, source: String, destination: String? = nil, isReadOnly: Bool = false) {
        self.tag = tag
        self.source = source
        self.destination = destination
        self.isReadOnly = isReadOnly
    }
}

/// The environment that a program finds in its guest.
public struct ExecEnvironment: Hashable, Sendable {
    /// The settings, of the form NAME=VALUE, in their order; byte for byte what the program gets.
    public private(set) var settings: [[UInt8]]

    /// PATH, HOME and TERM.
    ///
    /// - Parameter terminal: TERM.
    public init(terminal: [UInt8] = Array("dumb".utf8)) {
        settings = ["PATH=\(SearchPath.standard.text)", "HOME=/root"].map { Array($0.utf8) }
        settings.append(Array("TERM=".utf8) + terminal)
    }

    /// Adds a setting, in place of one of the same name.
    ///
    /// - Throws: ``ExecError/invalidSetting(_:)`` when it is not of the form NAME=VALUE.
    public mutating func set(_ setting: [UInt8]) throws(ExecError) {
        let name = setting.prefix { $0 != Self.equalsSign }
        guard !name.isEmpty, name.count < setting.count
        else { throw .invalidSetting(ForeignText.text(setting)) }
        settings.removeAll { $0.prefix { $0 != Self.equalsSign } == name }
        settings.append(setting)
    }

    /// The value of a name, as far as it is text.
    package func value(of name: String) -> String? {
        let start = Array("\(name)=".utf8)
        let setting = settings.first { $0.starts(with: start) }
        return setting.map { ForeignText.text($0.dropFirst(start.count)) }
    }

    private static let equalsSign = UInt8(ascii: "=")
}
