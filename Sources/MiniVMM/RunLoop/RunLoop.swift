import CKVM
import Counters
import KVM

/// The run loop of a vCPU whose exits an interceptor sees first.
///
/// The loop is a generic function, which the compiler specialises for each interceptor that ``init(_:)`` is called with;
/// the closures only hide which. (A generic class would not do: its methods are called through a table that all of its
/// specialisations share.)
struct RunLoop {
    /// The registers that exits should bring with them.
    let wantedRegisters: SynchronizedRegisters.Demand
    /// Enters the guest and services its exits, until the run is over.
    let run: (VCPURunner) throws(KVMError) -> Void
    /// Services one exit as the loop does, for those who do not know the interceptor.
    let service: (VCPURunner, Exit) throws(KVMError) -> VCPURunner.Service

    /// The loop for an interceptor.
    @inline(__always)
    init<Interceptor: ExitInterceptor>(_ interceptor: Interceptor) {
        wantedRegisters = interceptor.wantedRegisters
        run = { (runner) throws(KVMError) in try runner.loop(interceptor) }
        service = { (runner, exit) throws(KVMError) in try runner.service(exit, interceptor) }
    }
}

extension VCPURunner {
    fileprivate func loop<Interceptor: ExitInterceptor>(_ interceptor: Interceptor) throws(KVMError) {
        try interceptor.start(self)
        entry = ckvm_rdtsc()
        while true {
            let result = vcpu.enter()
            serviceStart = ckvm_rdtsc()
            counters.bookRun(cycles: serviceStart &- entry)
            guard _fastPath(result == 0) else {
                guard try reenter(after: result, interceptor) else { return }
                continue
            }
            guard try step(interceptor) else { return }
        }
    }

    /// Goes on after a KVM_RUN without an exit, or does not: returns whether.
    @inline(never)
    private func reenter<Interceptor: ExitInterceptor>(
        after result: Int32, _ interceptor: Interceptor
    ) throws(KVMError) -> Bool {
        guard try shouldReenter(after: result) else { return false }
        try interceptor.resume(self)
        entry = ckvm_rdtsc()
        counters.bookInternal(cycles: entry &- serviceStart)
        return true
    }

    /// Services the exit in the run page and books it: port I/O of one byte in the loop's own frame, and under a kind that
    /// the compiler knows.
    ///
    /// - Returns: Whether the guest goes on.
    @inline(__always)
    private func step<Interceptor: ExitInterceptor>(_ interceptor: Interceptor) throws(KVMError) -> Bool {
        guard let (access, isOut) = Exit.portByte(of: vcpu) else { return try stepOther(interceptor) }
        guard isOut else {
            return try finish(serviceIn(access), .portIn(access), interceptor)
        }
        if let serviced = try interceptor.portOut(access, self) {
            return try finish(serviced, .portOut(access), interceptor)
        }
        return try finish(serviceOut(access), .portOut(access), interceptor)
    }

    /// Services any other exit and books it.
    ///
    /// - Returns: Whether the guest goes on.
    @inline(never)
    private func stepOther<Interceptor: ExitInterceptor>(_ interceptor: Interceptor) throws(KVMError) -> Bool {
        let exit = Exit(of: vcpu)
        return try finish(try service(exit, interceptor), exit, interceptor)
    }

    /// Books what was serviced.
    ///
    /// - Returns: Whether the guest goes on.
    @inline(__always)
    private func finish<Interceptor: ExitInterceptor>(
        _ serviced: Service, _ exit: Exit, _ interceptor: Interceptor
    ) throws(KVMError) -> Bool {
        try interceptor.follow(self)
        guard settle(serviced) else { return false }
        return try interceptor.proceed(after: exit, self)
    }

    /// Services an OUT of the guest's own. It is counted before anything else is done for it.
    @inline(__always)
    private func serviceOut(_ access: PortAccess) -> Service {
        counters.begin(.portOut)
        writePort(access)
        return .booked(.portOut)
    }

    /// Services an IN.
    @inline(__always)
    private func serviceIn(_ access: PortAccess) -> Service {
        counters.begin(.portIn)
        readPort(access)
        return .booked(.portIn)
    }

    /// Services an exit of any kind. It is counted before anything else is done for it.
    @inline(__always)
    fileprivate func service<Interceptor: ExitInterceptor>(
        _ exit: Exit, _ interceptor: Interceptor
    ) throws(KVMError) -> Service {
        switch exit {
        case .portOut(let access):
            return try interceptor.portOut(access, self) ?? serviceOut(access)
        case .portIn(let access):
            return serviceIn(access)
        case .mmioRead(let access):
            counters.begin(.mmioRead)
            readMMIO(access)
            return .booked(.mmioRead)
        case .mmioWrite(let access):
            counters.begin(.mmioWrite)
            writeMMIO(access)
            return .booked(.mmioWrite)
        default:
            if let serviced = try interceptor.rare(exit, self) { return serviced }
            return try serviceGuestsOwn(exit)
        }
    }
}
