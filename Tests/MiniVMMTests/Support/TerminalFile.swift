import Foundation

/// A pseudo-terminal, for programs that look whether a person is there.
final class TerminalFile {
    /// The device file of the side that a program sees.
    let path: String
    private var controller: Int32 = -1
    private var terminal: Int32 = -1

    init() throws {
        _ = try ProcessError.check("openpty", openpty(&controller, &terminal, nil, nil, nil))
        path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(terminal)")
    }

    deinit {
        close(controller)
        close(terminal)
    }
}
