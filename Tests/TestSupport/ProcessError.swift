import Glibc
@testable import Host
import MiniVMM

/// What keeps a test from running a program to its end.
enum ProcessError: Error, CustomStringConvertible {
    /// A system call failed.
    case system(String, ErrorNumber)
    /// The program is not where the build puts it.
    case notBuilt(path: String)
    /// The program ran longer than a test allows, and was killed. With what it had said until then.
    case tooLong(command: String, output: String, errors: String)
    /// The program ended before it said what the test waits for.
    case endedEarly(waitingFor: String, output: String, errors: String)

    var description: String {
        switch self {
        case .system(let name, let error):
            "\(name) failed: \(error.name)"
        case .notBuilt(let path):
            "\(path) does not exist; build it with `swift build --build-tests`, or set MINIVMM_EXECUTABLE"
        case .tooLong(let command, let output, let errors):
            "`\(command)` did not end and was killed\nstdout: \(output)\nstderr: \(errors)"
        case .endedEarly(let text, let output, let errors):
            "the program ended without saying \(text.debugDescription)\nstdout: \(output)\nstderr: \(errors)"
        }
    }

    /// Passes a system call's result on, and throws for -1.
    static func check(_ name: String, _ result: Int32) throws(ProcessError) -> Int32 {
        guard result >= 0 else { throw .system(name, ErrorNumber(rawValue: errno)) }
        return result
    }
}
