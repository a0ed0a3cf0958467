import Host

/// A socket that an option asks for and that cannot be had.
struct OptionListenError: CommandError {
    /// The option, such as `--gdb`.
    let option: String
    /// Why not.
    let error: ListenError

    var explanation: String { error.explanation }

    var remedy: String {
        switch (error.address, error.number) {
        case (.port, .addressInUse): "Choose another port with \(option), or 0 for any that is free."
        case (.port, _): "Choose a port from 1024 on with \(option), or 0 for any that is free."
        case (.path, .addressInUse): "Remove what is there, or choose another path with \(option)."
        case (.path, _): "Choose a path with \(option) that is short, in a directory that can be written to."
        }
    }

    var exitStatus: ExitStatus { .usage }
}

extension LocalListener {
    /// Begins to listen for an option.
    static func open(at address: LocalAddress, for option: String) throws(OptionListenError) -> LocalListener {
        do {
            return try LocalListener(at: address)
        } catch {
            throw OptionListenError(option: option, error: error)
        }
    }
}
