public import Boot
import Host

/// The modules of a kernel, as a distribution has them in `/lib/modules/RELEASE`: which there are, and what each needs.
///
/// Source: depmod(8), modules.dep(5), modules.builtin.
struct KernelModules: Sendable {
    /// The path of each module below the folder, by its name.
    private let paths: [String: String]
    /// The names of the modules that each needs.
    private let needs: [String: [String]]
    /// The names of what is built into the kernel.
    private let builtIn: Set<String>
    private let directory: String

    /// Reads the lists of a folder.
    ///
    /// - Parameters:
    ///   - dependencies: What `modules.dep` says.
    ///   - builtIn: What `modules.builtin` says.
    ///   - directory: The folder.
    init(dependencies: [UInt8], builtIn: [UInt8], directory: String) {
        var (paths, needs): ([String: String], [String: [String]]) = ([:], [:])
        for line in Self.lines(dependencies) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let path = ForeignText.text(line[..<colon])
            let words = line[(colon + 1)...].split(separator: UInt8(ascii: " ")).map(ForeignText.text)
            paths[Self.name(path)] = path
            needs[Self.name(path)] = words.map(Self.name)
        }
        (self.paths, self.needs, self.directory) = (paths, needs, directory)
        self.builtIn = Set(Self.lines(builtIn).map { Self.name(ForeignText.text($0)) })
    }

    /// The paths of modules and of all that they need, in the order in which they are loaded.
    ///
    /// - Throws: ``ExecError/noModule(name:directory:)``.
    func paths(of names: [String]) throws(ExecError) -> [String] {
        var order: [String] = []
        var known: Set<String> = []
        // What is looked at, and whether what it needs is on the list already. A list, and not a recursion.
        var waiting = names.reversed().map { (name: Self.name($0), isReady: false) }
        while let (name, isReady) = waiting.popLast() {
            if isReady, let path = paths[name] {
                order.append("\(directory)/\(path)")
            } else if known.insert(name).inserted, !builtIn.contains(name) {
                guard paths[name] != nil else { throw .noModule(name: name, directory: directory) }
                waiting.append((name, true))
                waiting += (needs[name] ?? []).map { ($0, false) }
            }
        }
        return order
    }

    /// Whether a module's file is compressed.
    static func isCompressed(_ path: String) -> Bool { !path.hasSuffix(".ko") }

    /// The name of a module by its path: without what stands before and behind, and as the kernel writes it.
    private static func name(_ path: String) -> String {
        let file = path.split(separator: "/").last ?? ""
        return String((file.split(separator: ".").first ?? "").map { $0 == "-" ? "_" : $0 })
    }

    private static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        bytes.split(separator: UInt8(ascii: "\n"))
    }
}

/// Which drivers a guest's kernel must have, and whose they are.
public struct ExecDrivers: Hashable, Sendable {
    /// The names of modules, such as `virtio_blk`.
    public var names: [String] = []
    /// The release of the kernel, if it says so.
    public var release: String?
    /// The path of the kernel, for people.
    public var kernel = ""

    /// None.
    public init() {}

    /// Drivers of a kernel.
    public init(_ names: [String], of kernel: ImageFile) {
        self.names = names
        self.kernel = kernel.path
        release = KernelRelease.read(kernel.bytes)
    }

    private static let modules = "/lib/modules"

    /// Puts the modules into a guest that its kernel does not have.
    ///
    /// - Returns: Where they are there, in the order in which they are loaded.
    func add(to builder: inout ExecTreeBuilder) throws(ExecError) -> [ExecOrder.Module] {
        guard !names.isEmpty else { return [] }
        guard let release else { throw .noModules(kernel: kernel, directory: nil) }
        let directory = "\(Self.modules)/\(release)"
        guard let dependencies = try? builder.bytes("\(directory)/modules.dep")
        else { throw .noModules(kernel: kernel, directory: directory) }
        let builtIn = (try? builder.bytes("\(directory)/modules.builtin")) ?? []
        let modules = KernelModules(dependencies: dependencies, builtIn: builtIn, directory: directory)
        var result: [ExecOrder.Module] = []
        for path in try modules.paths(of: names) {
            let place = "/.minivmm/modules/\(result.count)"
            try builder.tree.addFile(place, bytes: try builder.bytes(path))
            result.append(
                ExecOrder.Module(path: ForeignText.bytes(place), isCompressed: KernelModules.isCompressed(path)))
        }
        return result
    }
}
