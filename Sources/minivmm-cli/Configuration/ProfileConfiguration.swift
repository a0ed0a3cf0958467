import ArgumentParser
import Boot
import Counters
import Exec
import Host
import MiniVMM
import Report
import Symbols

/// What is said of where exits come from.
struct ProfileConfiguration: Hashable, Sendable {
    /// The paths of files with symbols.
    var symbols: [String] = []
    /// The path of a profile, whose form its name says.
    var file: String?
    /// What the widths of its frames stand for.
    var weight = ExitProfile.Weight.counts

    /// Lets the machine keep what they need.
    func apply(to options: inout MachineOptions) {
        if file != nil || !symbols.isEmpty { options.recording.placeCapacity = ExitPlaces.defaultCapacity }
    }

    /// Reads the symbols and opens the file, before the run, so that a wrong path does not cost one.
    func open() throws -> ProfileFiles {
        ProfileFiles(
            symbols: try symbols.map { path in try SymbolTable(ImageFile(reading: path).bytes, path: path) },
            file: try file.map { try OutputFile(creating: $0) },
            isForPprof: file?.hasSuffix(".pb.gz") ?? false, weight: weight)
    }
}

/// The symbols of a run, and its profile's file, open.
struct ProfileFiles {
    var symbols: [SymbolTable]
    /// Where the files of an `exec` guest's program are, once it has said so.
    var mappings: ProgramMappings?
    let file: OutputFile?
    let isForPprof: Bool
    let weight: ExitProfile.Weight

    /// Takes in what an `exec` guest said of its addresses. Where it said nothing, there are no more names.
    ///
    /// - Parameters:
    ///   - said: The symbols of its kernel, and the mappings of its program.
    ///   - files: The programs and libraries in it, by their paths.
    mutating func add(_ said: ProgramSymbols, files: [String: [UInt8]]) {
        if let table = try? SymbolTable(said.kernel, path: "/proc/kallsyms") { symbols.append(table) }
        mappings = ProgramMappings(said.mappings, files: files)
    }

    /// Names the functions in an outcome.
    func name(_ outcome: inout RunOutcome) {
        guard !symbols.isEmpty || mappings != nil else { return }
        let tables = tables(outcome)
        outcome.places?.name { place in
            guard let address = place.address else { return nil }
            guard !Self.isInits(place) else {
                return ExitPlaces.Function(name: "init", offset: address &- ProgramChannel.initAddress)
            }
            return Self.function(at: address, in: tables)
                ?? mappings?.function(at: address).map { ExitPlaces.Function(name: $0.name, offset: $0.offset) }
        }
    }

    /// The symbols of the kernel where it has moved itself to.
    private func tables(_ outcome: RunOutcome) -> [SymbolTable] {
        symbols.map { table in
            outcome.systemCallHandler.flatMap { table.moved(toSystemCallHandler: $0) } ?? table
        }
    }

    /// What names the function at an address, for a death report; nil without symbols.
    func functionName(_ outcome: RunOutcome) -> (@Sendable (UInt64) -> String?)? {
        guard !symbols.isEmpty else { return nil }
        let tables = tables(outcome)
        return { address in
            Self.function(at: address, in: tables).map { "\($0.name)+\(Hex.number($0.offset))" }
        }
    }

    /// The function that has an address, by the first table that knows one.
    static func function(at address: UInt64, in tables: [SymbolTable]) -> ExitPlaces.Function? {
        for table in tables {
            if let function = table.function(at: address) {
                return ExitPlaces.Function(name: function.name, offset: function.offset)
            }
        }
        return nil
    }

    /// Whether an exit is of the init of an `exec` guest, which may stand at addresses that the program has, too.
    private static func isInits(_ place: ExitPlaces.Place) -> Bool {
        place.subject == .page(ProgramChannel.page) && place.address.map { $0 >> 63 == 0 } ?? false
    }

    /// What names the program that a place is in.
    ///
    /// - Parameters:
    ///   - isFlat: Whether the guest is a flat one, which has no kernel.
    ///   - program: The name of the guest, or of the program in it.
    static func programs(isFlat: Bool, program: String) -> (ExitPlaces.Place) -> String {
        { place in
            guard !isFlat else { return program }
            guard !isInits(place) else { return "init" }
            // The upper half of the address space is the kernel's.
            return place.address.map { $0 >> 63 == 1 ? "kernel" : program } ?? "unknown"
        }
    }

    /// Writes the profile.
    ///
    /// - Parameters:
    ///   - machine: The machine.
    ///   - program: The name of the guest, or of the program in it.
    func write(_ outcome: RunOutcome, machine: Machine, program: String) throws {
        guard let file, let places = outcome.places else { return }
        let profile = ExitProfile(
            places, weight: weight, program: Self.programs(isFlat: machine.isFlat, program: program))
        let nanoseconds = UInt64(exactly: (outcome.seconds * 1e9).rounded()) ?? 0
        try file.write(isForPprof ? profile.pprof(duration: nanoseconds) : profile.folded)
        try file.finish()
    }
}
