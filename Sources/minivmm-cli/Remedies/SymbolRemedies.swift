import Symbols

extension SymbolError: CommandError {
    var remedy: String {
        switch self {
        case .notSymbols: "Give --symbols a System.map, a copy of /proc/kallsyms, or an ELF file that was not stripped."
        case .noFunctions: "Give --symbols the file as it was before it was stripped."
        case .addressesHidden: "Copy /proc/kallsyms as root: others see no addresses in it."
        case .damaged: "Build or download the file again."
        }
    }

    var exitStatus: ExitStatus { .imageNotAcceptable }
}
