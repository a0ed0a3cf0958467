import ArgumentParser
import MiniVMM

/// The complaint about a name that no built-in guest has.
enum UnknownGuest {
    static func error(_ name: String) -> ValidationError {
        let names = BuiltInGuest.all.map(\.name).joined(separator: ", ")
        return ValidationError("There is no built-in guest `\(name)`. There are: \(names).")
    }
}
