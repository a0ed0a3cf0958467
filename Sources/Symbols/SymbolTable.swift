import Boot
public import Host

/// The functions of a guest's kernel or program, by address: out of a System.map, a kernel's kallsyms, or an ELF file.
///
/// A kernel may have been moved when it booted (KASLR). Where it went is told by the address to which its system calls
/// lead, see ``moved(toSystemCallHandler:)``.
public struct SymbolTable: Sendable {
    /// A function.
    private struct Entry {
        let address: UInt64
        /// Where it ends; the next function's start where the file does not say.
        var end: UInt64
        let name: String
        let isGlobal: Bool
        /// Whether it is a module's, which is moved by another distance than the kernel.
        let isModules: Bool
    }

    /// Ascending by address, each address once.
    private let entries: [Entry]
    /// What is added to the addresses.
    private let slide: UInt64
    /// Whether names may be those of C++ or Swift as linkers see them. Not those that a guest tells.
    private let isMangled: Bool

    /// How many functions there are.
    public var count: Int { entries.count }

    private init(_ entries: [Entry], slide: UInt64, isMangled: Bool) {
        self.entries = entries
        self.slide = slide
        self.isMangled = isMangled
    }

    private init(sorting found: [Entry], isMangled: Bool) {
        // Of several names of an address the first global one, else the first: `sorted` keeps their order.
        let sorted = found.sorted { ($0.address, $0.isGlobal ? 0 : 1) < ($1.address, $1.isGlobal ? 0 : 1) }
        var entries: [Entry] = []
        for entry in sorted where entry.address != entries.last?.address {
            if let last = entries.indices.last { entries[last].end = min(entries[last].end, entry.address) }
            entries.append(entry)
        }
        self.init(entries, slide: 0, isMangled: isMangled)
    }

    /// Where a function ends whose length nobody says, and behind which there is none: as far as no function is long.
    private static let maximumLength: UInt64 = 1 << 20

    // MARK: Reading

    /// Reads a file, of whichever form.
    ///
    /// - Parameters:
    ///   - bytes: The file.
    ///   - path: What errors call it.
    /// - Throws: ``SymbolError``.
    public init(_ bytes: [UInt8], path: String) throws(SymbolError) {
        let table: SymbolTable
        if let identity = ELFIdentity(bytes) {
            table = try Self(elf: bytes, identity, path: path)
        } else {
            table = try Self(text: bytes, path: path)
        }
        guard !table.entries.isEmpty else { throw .noFunctions(path: path) }
        self = table
    }

    /// Reads an ELF file.
    private init(elf bytes: [UInt8], _ identity: ELFIdentity, path: String) throws(SymbolError) {
        guard identity.isLittleEndian else { throw .noFunctions(path: path) }
        let symbols: [ELFSymbol]
        do {
            symbols = try ELFSymbol.functions(in: bytes, identity.is64Bit ? .wide : .narrow)
        } catch {
            throw .damaged(path: path, problem: error.problem)
        }
        self.init(
            sorting: symbols.map {
                Entry(
                    address: $0.address, end: $0.address &+ ($0.size > 0 ? $0.size : Self.maximumLength),
                    name: Self.printable($0.name.utf8), isGlobal: $0.isGlobal, isModules: false)
            }, isMangled: true)
    }

    /// Reads lines of address, type and name, and where it is a module's its name in brackets.
    ///
    /// Source: nm(1); Linux, kernel/kallsyms.c, s_show().
    private init(text bytes: [UInt8], path: String) throws(SymbolError) {
        var found: [Entry] = []
        var hidden = false
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(maxSplits: 3) { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            guard words.count >= 3, let address = Self.hexadecimal(words[0]), words[1].count == 1,
                let type = words[1].first
            else { throw .notSymbols(path: path) }
            guard Self.codeTypes.contains(type) else { continue }
            guard address != 0 else {
                hidden = true
                continue
            }
            found.append(
                Entry(
                    address: address, end: address &+ Self.maximumLength, name: Self.printable(words[2]),
                    isGlobal: type < UInt8(ascii: "a"), isModules: words.count > 3))
        }
        if found.isEmpty, hidden { throw .addressesHidden(path: path) }
        self.init(sorting: found, isMangled: false)
    }

    /// Code, and what is weak: t, T, w, W.
    private static let codeTypes = Set("tTwW".utf8)

    static func hexadecimal(_ digits: some Sequence<UInt8>) -> UInt64? {
        UInt64(String(decoding: Array(digits), as: UTF8.self), radix: 16)
    }

    /// A name with nothing in it that a terminal would act on.
    static func printable(_ name: some Sequence<UInt8>) -> String {
        String(decoding: name.map { (0x21...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    // MARK: Asking

    /// The function that has an address, and how many bytes into it that is.
    public func function(at address: UInt64) -> (name: String, offset: UInt64)? {
        let address = address &- slide
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = low + (high - low) / 2
            if entries[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let entry = entries[low - 1]
        // A module's place in another boot says nothing of this one.
        guard address < entry.end, slide == 0 || !entry.isModules else { return nil }
        return (isMangled ? Demangler.readable(entry.name) : entry.name, address - entry.address)
    }

    /// The table of the same kernel as it was moved when it booted.
    ///
    /// - Parameter address: What the guest has in IA32_LSTAR: where Linux' `entry_SYSCALL_64` is. 0 for none.
    /// - Returns: nil where the symbols are not those of a kernel that has its system calls there.
    public func moved(toSystemCallHandler address: UInt64) -> SymbolTable? {
        guard address != 0, let entry = entries.first(where: { $0.name == Self.systemCallHandler }) else { return nil }
        let slide = address &- entry.address
        // Linux moves its kernel by whole units of at least 2 MiB, within 1 GiB. Source: Linux, Documentation/arch/x86,
        // CONFIG_PHYSICAL_ALIGN; arch/x86/boot/compressed/kaslr.c.
        guard slide % Self.alignment == 0, min(slide, 0 &- slide) <= Self.maximumSlide else { return nil }
        return SymbolTable(entries, slide: slide, isMangled: isMangled)
    }

    /// Whether there is a system call handler of Linux among the functions.
    public var isLinuxKernel: Bool { entries.contains { $0.name == Self.systemCallHandler } }

    private static let systemCallHandler = "entry_SYSCALL_64"
    private static let alignment: UInt64 = 1 << 21
    private static let maximumSlide: UInt64 = 1 << 30
}

/// Why a file gives no symbols.
public enum SymbolError: Error, Hashable, Sendable {
    /// It is neither an ELF file nor lines of addresses and names.
    case notSymbols(path: String)
    /// It has no functions: an ELF file that was stripped, or an empty list.
    case noFunctions(path: String)
    /// All addresses are 0, as kallsyms has them for those who may not see them.
    case addressesHidden(path: String)
    /// The ELF file contradicts itself. The problem is a sentence without its full stop.
    case damaged(path: String, problem: String)
}

extension SymbolError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notSymbols(let path): "\(path) is neither an ELF file nor a list of addresses, types and names."
        case .noFunctions(let path): "\(path) has no symbols of functions."
        case .addressesHidden(let path): "In \(path) all addresses are 0."
        case .damaged(let path, let problem): "\(path) is an ELF file, but a damaged one: \(problem)."
        }
    }
}
