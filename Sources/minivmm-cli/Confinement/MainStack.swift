import CKVM
import Glibc
import Host

/// The stack of the main thread, whose size is whatever limit the process was started with.
enum MainStack {
    /// Less than the command was ever tried with: 1 MiB.
    private static let leastSize: rlim_t = 1 << 20
    /// What systems give a main thread.
    private static let usualSize = 8 << 20

    /// Whether the limit is below what the command needs.
    static var isSmall: Bool {
        var limit = rlimit()
        return unsafe getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit) == 0 && limit.rlim_cur < leastSize
    }

    /// Does the command's work on a thread with a stack of the usual size, and ends the process when it is done.
    static func withLargerOne(_ work: @escaping @Sendable () -> Void) {
        do {
            let thread = try PosixThread(name: "main", stackSize: usualSize, body: work)
            // Signals are for the threads that know of them, see ``ProcessWatch``.
            var all = sigset_t()
            unsafe sigfillset(&all)
            unsafe pthread_sigmask(SIG_BLOCK, &all, nil)
            thread.join()
        } catch {
            Diagnostics.show(error)
            exit(Diagnostics.exitStatus(of: error).rawValue)
        }
    }
}
