import Glibc
import XCTest

/// A user who may nothing, for programs that are to be refused things.
enum Nobody {
    /// What runs a program as that user.
    ///
    /// - Throws: `XCTSkip` where that cannot be done.
    static func prefix() throws -> [String] {
        guard geteuid() == 0 else { throw XCTSkip("only root can become another user") }
        let prefix = ["setpriv", "--reuid=65534", "--clear-groups"]
        let tool = try CommandLineRun(command: ["sh", "-c", "setpriv --reuid=65534 --clear-groups true"])
        guard tool.end == .exited(0) else { throw XCTSkip("setpriv (of util-linux) is not here: \(tool.errors)") }
        guard try CommandLineRun(["--version"], under: prefix).end == .exited(0) else {
            throw XCTSkip("other users may not run this build of minivmm")
        }
        return prefix
    }
}
