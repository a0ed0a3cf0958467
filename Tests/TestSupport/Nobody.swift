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
        guard (try? CommandLineRun(command: prefix + ["true"]).end) == .exited(0) else {
            throw XCTSkip("setpriv (of util-linux) is not here")
        }
        guard try CommandLineRun(["--version"], under: prefix).end == .exited(0) else {
            throw XCTSkip("other users may not run this build of minivmm")
        }
        return prefix
    }
}
