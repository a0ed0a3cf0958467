extension TraceEvent {
    /// Takes down what an exit was about, out of the run page. The vCPU must not have run since.
    @inline(__always)
    mutating func describe(_ exit: Exit) {
        switch exit {
        case .portIn(let access), .portOut(let access):
            subject = UInt64(access.port)
            width = UInt8(truncatingIfNeeded: access.width.rawValue)
            extra = UInt32(truncatingIfNeeded: access.count)
        case .mmioRead(let access), .mmioWrite(let access):
            subject = access.address.rawValue
            width = UInt8(truncatingIfNeeded: access.byteCount)
        case .rdmsr(let index), .wrmsr(let index, _): subject = UInt64(index)
        case .hypercall(let number): subject = number
        case .debug(let pc, _): subject = pc
        case .exception(let vector): subject = UInt64(vector)
        case .failEntry(let reason), .unknown(let reason): subject = reason
        case .internalError(let suberror): subject = UInt64(suberror)
        case .systemEvent(let type): subject = UInt64(type)
        case .other(let reason): subject = UInt64(reason)
        default: break
        }
    }
}
