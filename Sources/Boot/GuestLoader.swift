public import Memory

/// A format of image that MiniVMM boots.
public protocol GuestLoader: Sendable {
    /// Whether a file is of the format, by its first bytes. Cheap: it is asked of every file.
    static func probe(_ bytes: [UInt8]) -> Bool

    /// Checks a file and makes a guest of it.
    ///
    /// - Throws: ``ImageError`` when the file is damaged or not bootable; ``GuestSettingError`` for a setting that guests
    ///   of this format do not have.
    static func guest(_ file: ImageFile, _ settings: GuestSettings) throws -> any Guest
}

/// The formats that MiniVMM boots. A new one is a type and an entry here.
public enum GuestLoaders {
    /// All of them, in the order in which they are asked. The last takes what nobody else knows.
    public static let all: [any GuestLoader.Type] = [
        LinuxImage.self, MultibootGuest.self, ELFKernel.self, FlatGuest.self,
    ]

    /// Finds out what a file is, and makes a guest of it.
    ///
    /// - Parameters:
    ///   - file: The file.
    ///   - settings: What the guest is to be given.
    /// - Throws: ``ImageError`` when the file is of no format that MiniVMM boots, or damaged; ``GuestSettingError``.
    public static func guest(_ file: ImageFile, _ settings: GuestSettings = GuestSettings()) throws -> any Guest {
        for loader in all where loader.probe(file.bytes) { return try loader.guest(file, settings) }
        throw ImageError.unsupported(path: file.path, ImageFormat(detecting: file))
    }

    /// The largest file that is read, in bytes: as much as any guest can have of memory below 4 GiB.
    public static let maximumImageSize = BootLayout.lowMemoryLimit.rawValue
}

/// What a guest is given, as far as its format takes it. What is nil is left to the format.
public struct GuestSettings: Hashable, Sendable {
    /// The size of the guest's memory, in bytes.
    public var memorySize: UInt64?
    /// The path of the initial RAM disk.
    public var initrd: String?
    /// Files that a Multiboot kernel is given, after the initial RAM disk.
    public var modules: [GuestModule] = []
    /// The kernel's command line.
    public var commandLine: String?
    /// What the kernel's command line has besides, after a space.
    public var addedArguments: String?
    /// Where a flat image is loaded.
    public var loadAddress: UInt64?
    /// Where a flat image is entered.
    public var entry: SegmentedAddress?
    /// What a flat guest finds in ECX.
    public var argument: UInt32?
    /// Whether the guest has a text screen.
    public var hasScreen = false

    /// Nothing.
    public init() {}

    /// A setting.
    public enum Name: Hashable, Sendable {
        /// ``GuestSettings/initrd``.
        case initrd
        /// ``GuestSettings/modules``.
        case module
        /// ``GuestSettings/commandLine`` or ``GuestSettings/addedArguments``.
        case commandLine
        /// ``GuestSettings/loadAddress``.
        case loadAddress
        /// ``GuestSettings/entry``.
        case entry
        /// ``GuestSettings/argument``.
        case argument
        /// ``GuestSettings/hasScreen``.
        case screen
    }

    /// Checks that only settings are given that a guest has.
    ///
    /// - Parameter others: Those that it does not have.
    /// - Throws: ``GuestSettingError`` for the first of them that is given.
    func refuse(_ others: [Name]) throws(GuestSettingError) {
        for name in others where isGiven(name) { throw GuestSettingError(setting: name) }
    }

    /// The kernel's command line.
    ///
    /// - Parameter standard: The format's own, unless another was set.
    func commandLine(standard: String) -> String {
        [commandLine ?? standard, addedArguments ?? ""].filter { !$0.isEmpty }.joined(separator: " ")
    }

    private func isGiven(_ name: Name) -> Bool {
        switch name {
        case .initrd: initrd != nil
        case .module: !modules.isEmpty
        case .commandLine: commandLine != nil || addedArguments != nil
        case .loadAddress: loadAddress != nil
        case .entry: entry != nil
        case .argument: argument != nil
        case .screen: hasScreen
        }
    }
}

/// A file that a Multiboot kernel is given.
public struct GuestModule: Hashable, Sendable {
    /// The file's path.
    public let path: String
    /// What the kernel is told of it; nil for the file's name.
    public let text: String?

    /// A file and a text.
    public init(path: String, text: String? = nil) {
        self.path = path
        self.text = text
    }
}

/// A setting that guests of this format do not have.
public struct GuestSettingError: Error, Hashable, Sendable {
    /// The setting.
    public let setting: GuestSettings.Name
}
