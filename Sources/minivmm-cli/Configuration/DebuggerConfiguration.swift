import ArgumentParser
import Counters
import Debugger
import Glibc
import Host
import MiniVMM

/// Whether a debugger may come.
struct DebuggerConfiguration: Hashable, Sendable {
    /// Where it connects, if it may.
    var address: LocalAddress?
    /// Whether the guest waits for it before its first instruction.
    var waits = false

    /// Checks that the two go together.
    func validate() throws {
        if waits, address == nil { throw ValidationError("--gdb-wait is for --gdb.") }
    }

    /// Begins to listen, and changes the machine that will be made.
    ///
    /// - Returns: What serves the debugger of that machine; nil when there is to be none.
    /// - Throws: ``OptionListenError``, `ResourceError`.
    func open(for options: inout MachineOptions) throws -> DebuggerEntrance? {
        guard let address else { return nil }
        let entrance = DebuggerEntrance(
            listener: try LocalListener.open(at: address, for: "--gdb"), control: try DebugControl(), waits: waits)
        if waits { entrance.control.holdFromTheStart() }
        options.debugging = entrance.control
        return entrance
    }
}

/// Where a debugger comes in, from the time when it may connect to the end of the run.
struct DebuggerEntrance {
    fileprivate let listener: LocalListener
    fileprivate let control: DebugControl
    fileprivate let waits: Bool

    /// The directories in which there is a file to be removed after the run.
    var folders: [Int32] { listener.directory.elements }

    /// Does something while debuggers are served: running the machine.
    func serve(_ machine: Machine, while body: () throws -> RunOutcome) throws -> RunOutcome {
        let server = try DebugServer(listener, machine: machine, control: control)
        StandardError.write(
            "minivmm: \(waits ? "the guest waits for GDB" : "GDB may connect"): target remote "
                + "\(ForeignText.visible(listener.place))\n")
        do {
            let outcome = try body()
            server.end(outcome.ending)
            return outcome
        } catch {
            server.end(.signal(SIGKILL))
            throw error
        }
    }
}

extension DebuggerEntrance? {
    /// The same where there may be no debugger.
    var folders: [Int32] { self?.folders ?? [] }

    /// The same where there may be no debugger.
    func serve(_ machine: Machine, while body: () throws -> RunOutcome) throws -> RunOutcome {
        switch self {
        case let entrance?: try entrance.serve(machine, while: body)
        case nil: try body()
        }
    }
}
