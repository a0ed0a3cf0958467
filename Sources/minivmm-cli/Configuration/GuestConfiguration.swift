import ArgumentParser
import Boot
import Glibc
import Host
import KVM
import Memory
import MiniVMM

/// Which guest to run, and how it is loaded. What is nil is left to the guest's format.
struct GuestConfiguration: Hashable, Sendable {
    /// The path of an image; ``standardInput`` for what comes there.
    var file: String?
    /// The name of a built-in guest, in place of a file.
    var name: String?
    /// The size of the guest's memory.
    var memory: ByteCount?
    /// The path of an initial RAM disk.
    var initrd: String?
    /// Files that a Multiboot kernel is given.
    var modules: [GuestModule] = []
    /// What the kernel's command line has, besides the default arguments of Linux.
    var append: String?
    /// Whether it has the default arguments.
    var hasDefaultAppend = true
    /// Where a flat image is loaded.
    var loadAddress: UInt64?
    /// Where a flat image is entered.
    var entry: SegmentedAddress?
    /// What a flat guest finds in ECX.
    var argument: UInt32 = 0
    /// Whether the guest has a text screen.
    var hasScreen = false

    /// The files that the run reads.
    var inputs: [String] { path.elements + initrd.elements + modules.map(\.path) }

    /// What stands for standard input in place of a path.
    static let standardInput = "-"
    /// What it is called.
    private static let standardInputName = "standard input"

    /// The guest, as a report names it.
    var displayName: String { name ?? path ?? Self.standardInputName }

    /// The same without the folder of a file.
    var shortName: String { displayName.split(separator: "/").last.map(String.init) ?? displayName }

    /// The path of an image, if that is where it is.
    var path: String? { file == Self.standardInput ? nil : file }

    /// Checks what can be checked without the file.
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
        if options.triesUnsupportedGuests, case .operatingSystem = guest.code {
            Diagnostics.announceForcedLinux(kvm)
        }
        return try Machine(kvm: kvm, guest: guest, options: options)
    }

    private func makeGuest() throws -> any Guest {
        var settings = GuestSettings()
        settings.memorySize = memory?.rawValue
        settings.initrd = initrd
        settings.modules = modules
        settings.commandLine = hasDefaultAppend ? nil : ""
        settings.addedArguments = append
        settings.loadAddress = loadAddress
        settings.entry = entry
        settings.argument = argument == 0 ? nil : argument
        settings.hasScreen = hasScreen
        if let builtIn = name.flatMap(BuiltInGuest.init(named:)) {
            return try FlatGuest(image: builtIn.image, settings)
        }
        return try GuestLoaders.guest(image(), settings)
    }

    private func image() throws(ImageError) -> ImageFile {
        guard let path else {
            guard Terminal(descriptor: STDIN_FILENO) == nil
            else { throw .notAFile(path: Self.standardInputName, kind: "a terminal") }
            return try ImageFile(
                path: Self.standardInputName, reading: STDIN_FILENO, expectedSize: 0,
                limit: GuestLoaders.maximumImageSize)
        }
        return try ImageFile(opening: path, limit: GuestLoaders.maximumImageSize)
    }

    private static func complaint(_ setting: GuestSettings.Name) -> String {
        let (option, kind) =
            switch setting {
            case .initrd: ("--initrd", "a Linux or Multiboot kernel")
            case .module: ("--module", "a Multiboot kernel")
            case .commandLine: ("--append or --no-default-append", "a Linux or Multiboot kernel")
            case .loadAddress: ("--load-address", "a flat image")
            case .entry: ("--entry", "a flat image")
            case .argument: ("--argument", "a flat image")
            case .screen: ("--screen", "a flat image or a Multiboot kernel")
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
