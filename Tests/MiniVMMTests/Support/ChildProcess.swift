import CTestSupport
import Glibc
import XCTest

/// A process that a test starts.
struct ChildProcess {
    let id: pid_t

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - arguments: The program's path, and what it is told.
    ///   - environment: All of its environment.
    ///   - files: What its file descriptors 0, 1, 2 and so on are.
    ///   - place: Where it stands in job control.
    init(_ arguments: [String], environment: [String: String], files: [Int32], place: ctest_place) throws {
        let words: [UnsafeMutablePointer<CChar>?] = arguments.map { word in strdup(word) } + [nil]
        let settings = environment.map { "\($0.key)=\($0.value)" }
        let variables: [UnsafeMutablePointer<CChar>?] = settings.map { setting in strdup(setting) } + [nil]
        defer { for word in words + variables { free(word) } }
        id = ctest_spawn(words, variables, files, Int32(files.count), place)
        guard id > 0 else { throw XCTSkip("no process to be had: errno \(0 - id)") }
    }

    /// Sends it a signal.
    func send(_ signal: Int32) {
        kill(id, signal)
    }

    /// Waits until it ends: its exit status, or 1000 plus the number of the signal that ended it.
    func waitForEnd() -> Int32 {
        ctest_wait(id, 0)
    }

    /// Waits until it stops, or ends: 2000 plus the number of the signal that stopped it, or as above.
    func waitForStop() -> Int32 {
        ctest_wait(id, 1)
    }
}
