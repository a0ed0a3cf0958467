import Glibc
@testable import Host
import MiniVMM

/// A process that a test has started, and that is killed when it takes too long.
final class ChildProcess {
    /// How long a program may take, in seconds: far more than any needs, so that a hang fails a test and does not
    /// stop the tests.
    static let limit = 300

    let id: pid_t
    private let watchdog: ProcessWatchdog
    private var isReaped = false

    /// Starts a program.
    init(_ spawn: inout SpawnRequest, limit: Int = ChildProcess.limit) throws {
        id = try spawn.start()
        watchdog = ProcessWatchdog(process: id, limit: limit)
    }

    /// A process that a failed test has not waited for.
    deinit {
        guard !isReaped else { return }
        kill(id, SIGKILL)
        _ = try? waitForEnd()
    }

    /// Sends it a signal.
    func send(_ signal: Int32) throws {
        _ = try ProcessError.check("kill", kill(id, signal))
    }

    /// Waits until it stops, or ends.
    func waitForStop() throws -> ProcessEnd {
        var status: Int32 = 0
        _ = try ProcessError.check("waitpid", waitpid(id, &status, WUNTRACED))
        return ProcessEnd(waitStatus: status)
    }

    /// Waits until it ends.
    ///
    /// - Returns: How; nil when it took too long and was killed.
    func waitForEnd() throws -> ProcessEnd? {
        // Waits without reaping, so that the process's number stays its own until nobody kills it any more.
        var information = siginfo_t()
        while waitid(P_PID, id_t(id), &information, WEXITED | WNOWAIT) < 0 {
            guard errno == EINTR else { throw ProcessError.system("waitid", ErrorNumber(rawValue: errno)) }
        }
        let wasKilled = watchdog.stop()
        var status: Int32 = 0
        _ = try ProcessError.check("waitpid", waitpid(id, &status, 0))
        isReaped = true
        return wasKilled ? nil : ProcessEnd(waitStatus: status)
    }
}
