import Glibc

/// What this process was given by the one that started it, byte for byte: it need not be text.
enum RawArguments {
    /// The last arguments of the command line.
    static func last(_ count: Int) -> [[UInt8]] {
        let all = Int(CommandLine.argc)
        return (max(0, all - count)..<all).compactMap { index in
            // Sound: the index is less than the number of arguments, and each ends with a zero.
            CommandLine.unsafeArgv[index].map(bytes)
        }
    }

    /// A variable of the environment.
    static func environment(_ name: String) -> [UInt8]? {
        // Sound: nothing in this process changes the environment.
        getenv(name).map(bytes)
    }

    private static func bytes(_ text: UnsafeMutablePointer<CChar>) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}
