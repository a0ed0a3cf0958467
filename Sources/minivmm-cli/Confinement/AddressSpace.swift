import CKVM
import Glibc
import Host

/// The room for memory that this process has left, where its user or a service manager has set a limit (RLIMIT_AS).
///
/// Swift ends the process where a small allocation fails. So what a run will take is looked for in one piece first, and
/// given back: then there is a sentence, and not a signal.
enum AddressSpace {
    /// What a run takes besides the guest's memory, which is asked for by itself: code, heaps, reports.
    private static let baseSize = 48 << 20
    /// A thread's stack, and its tables.
    private static let sizePerVCPU = 4 << 20
    /// An exit in the trace, in the ring and again when it is taken out of it.
    private static let sizePerTraceEvent = 96

    /// Checks that there is as much room as a run takes.
    ///
    /// - Throws: `ResourceError` when there is not.
    static func check(vcpuCount: Int, traceEvents: Int) throws(ResourceError) {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur != rlim_t.max
        else { return }
        // Both are checked numbers, or what is wrong with them is said later; neither wraps what is only looked for.
        let count = max(1, min(vcpuCount, 4096))
        let size = baseSize + count * (sizePerVCPU + traceEvents * sizePerTraceEvent)
        var address: UnsafeMutableRawPointer?
        let result = unsafe ckvm_map_anonymous(size, &address)
        guard result >= 0, let address = unsafe address else {
            throw ResourceError("a run", ErrorNumber(rawValue: 0 &- result))
        }
        unsafe munmap(address, size)
    }
}
