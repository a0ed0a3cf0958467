import Debugger
import Host

extension DebuggerError: CommandError {
    var remedy: String {
        switch self {
        case .cannotListen(.port, .addressInUse): "Choose another port with --gdb, or 0 for any that is free."
        case .cannotListen(.port, _): "Choose a port from 1024 on with --gdb, or 0 for any that is free."
        case .cannotListen(.path, .addressInUse): "Remove what is there, or choose another path with --gdb."
        case .cannotListen(.path, _): "Choose a path with --gdb that is short, in a directory that can be written to."
        }
    }

    var exitStatus: ExitStatus { .usage }
}
