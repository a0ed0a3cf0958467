import CKVM

/// A thread of the operating system, for work that blocks: KVM_RUN, sigwait(3). Swift's cooperative pool is for work
/// that does not.
package struct PosixThread {
    private let handle: pthread_t

    /// What the new thread is handed: the work, kept alive until the thread takes it over.
    private final class Work: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Enough for any thread of ours: 2 MiB. Without a size, the limit on the main thread's stack would be taken.
    private static let defaultStackSize = 2 << 20

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: What debuggers and the system call it.
    ///   - stackSize: The bytes of its stack, which are taken from the system as they are touched.
    ///   - body: What it does.
    /// - Throws: ``ResourceError`` when the system refuses another thread.
    package init(
        name: String, stackSize: Int = defaultStackSize, body: @escaping @Sendable () -> Void
    ) throws(ResourceError) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, stackSize)
        let work = unsafe Unmanaged.passRetained(Work(name: name, body: body))
        var handle = pthread_t()
        let result = unsafe pthread_create(
            &handle, &attributes,
            { argument in
                // Sound: the argument is the reference that was retained for this thread, and it is taken once.
                guard let argument = unsafe argument else { return nil }
                let work = unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                unsafe ckvm_set_thread_name(work.name)
                work.body()
                return nil
            }, unsafe work.toOpaque())
        guard result == 0 else {
            // The thread that would have taken the reference was never made.
            unsafe work.release()
            throw ResourceError("a thread for \(name)", ErrorNumber(rawValue: result))
        }
        self.handle = handle
    }

    /// Interrupts the system call that the thread is in, if any. Before it is joined, and with the kick's handler
    /// installed.
    package func kick() {
        // Sound: a thread that has not been joined has a valid handle, whether it still runs or not.
        _ = ckvm_kick(handle)
    }

    /// The processor time that the thread has used, in nanoseconds; 0 where the system does not tell. Before it is
    /// joined.
    ///
    /// It stands still while the thread sleeps, in KVM_RUN too, and moves with every guest instruction.
    package var processorTime: UInt64 {
        // Sound: a thread that has not been joined has a valid handle, whether it still runs or not.
        UInt64(max(0, ckvm_thread_time(handle)))
    }

    /// Waits until the thread has ended.
    package func join() {
        // Sound: the handle is that of a thread that was made joinable and is joined nowhere else.
        pthread_join(handle, nil)
    }
}

/// The signal by which threads are kicked out of system calls.
package enum KickSignal {
    /// Installs the handler, which does nothing: the system call that a thread is in returns EINTR.
    ///
    /// - Throws: ``ResourceError`` when the system refuses.
    package static func install() throws(ResourceError) {
        let result = ckvm_install_kick_handler()
        guard result >= 0 else { throw ResourceError("the handler of a signal", ErrorNumber(rawValue: 0 &- result)) }
    }
}
