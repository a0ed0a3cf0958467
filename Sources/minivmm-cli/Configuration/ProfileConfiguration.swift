import ArgumentParser
import Boot
import Counters
import Exec
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
    let file: OutputFile?
    let isForPprof: Bool
    let weight: ExitProfile.Weight

    /// Takes in the symbols of an `exec` guest: what its kernel said, and what the program's file has. Where there are none,
    /// there are none.
    ///
    /// - Parameters:
    ///   - kernel: The kernel's, as in /proc/kallsyms.
    ///   - program: The program's path.
    mutating func add(kernel: [UInt8], program: String) {
        if let table = try? SymbolTable(kernel, path: "/proc/kallsyms") { symbols.append(table) }
        guard let file = try? ImageFile(reading: program), let identity = ELFIdentity(file.bytes),
            let table = try? SymbolTable(file.bytes, path: program)
        else { return }
        let isMovable = identity.type == ELFIdentity.typeMovable
        symbols.append(isMovable ? table.moved(by: ExecGuest.positionIndependentBase) : table)
    }

    /// Names the functions in an outcome.
    func name(_ outcome: inout RunOutcome) {
        guard !symbols.isEmpty else { return }
        let tables = symbols.map { table in
            outcome.systemCallHandler.flatMap { table.moved(toSystemCallHandler: $0) } ?? table
        }
        outcome.places?.name { place in
            guard let address = place.address, !Self.isInits(place) else { return nil }
            for table in tables {
                if let function = table.function(at: address) {
                    return ExitPlaces.Function(name: function.name, offset: function.offset)
                }
            }
            return nil
        }
    }

    /// Whether an exit is of the init of an `exec` guest, which may stand at addresses that the program has, too.
    private static func isInits(_ place: ExitPlaces.Place) -> Bool {
        place.subject == .page(ProgramChannel.page) && place.address.map { $0 >> 63 == 0 } ?? false
    }

    /// Writes the profile.
    ///
    /// - Parameters:
    ///   - machine: The machine.
    ///   - program: The name of the guest, or of the program in it.
    func write(_ outcome: RunOutcome, machine: Machine, program: String) throws {
        guard let file, let places = outcome.places else { return }
        let isFlat = machine.isFlat
        let profile = ExitProfile(places, weight: weight) { place in
            guard !isFlat else { return program }
            guard !Self.isInits(place) else { return "init" }
            // The upper half of the address space is the kernel's.
            return place.address.map { $0 >> 63 == 1 ? "kernel" : program } ?? "unknown"
        }
        let nanoseconds = UInt64(exactly: (outcome.seconds * 1e9).rounded()) ?? 0
        try file.write(isForPprof ? profile.pprof(duration: nanoseconds) : profile.folded)
    }
}
