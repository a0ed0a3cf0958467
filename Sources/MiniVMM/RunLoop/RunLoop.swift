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
            guard result == 0 else {
                guard try shouldReenter(after: result) else { return }
                try interceptor.resume(self)
                entry = ckvm_rdtsc()
                counters.bookInternal(cycles: entry &- serviceStart)
                continue
            }
            let exit = Exit(of: vcpu)
            let serviced: Service
            switch exit {
            case .portOut(let access) where access.isByte: serviced = try serviceOut(access, interceptor)
            case .portIn(let access) where access.isByte: serviced = serviceIn(access)
            default: serviced = try service(exit, interceptor)
            }
            try interceptor.follow(self)
            guard settle(serviced) else { return }
            guard try interceptor.proceed(after: exit, self) else { return }
        }
    }

    /// Services an OUT. It is counted before anything else is done for it.
    @inline(__always)
    private func serviceOut<Interceptor: ExitInterceptor>(
        _ access: PortAccess, _ interceptor: Interceptor
    ) throws(KVMError) -> Service {
        if let serviced = try interceptor.portOut(access, self) { return serviced }
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
    ///
    /// The loop comes here for all but port I/O of one byte, which it services in its own frame.
    fileprivate func service<Interceptor: ExitInterceptor>(
        _ exit: Exit, _ interceptor: Interceptor
    ) throws(KVMError) -> Service {
        switch exit {
        case .portOut(let access):
            return try serviceOut(access, interceptor)
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
