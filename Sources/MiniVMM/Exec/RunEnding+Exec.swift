import GuestImages

extension RunEnding {
    /// What the status means that the guest's init has reported.
    init(execStatus status: UInt32) {
        if status & UInt32(EXEC_FAILURE) != 0 {
            let step = (status & ~UInt32(EXEC_FAILURE)) >> UInt32(EXEC_FAILURE_SHIFT)
            guard let step = ExecStep(rawValue: step) else {
                self = .failed(ExecError.unknownStatus(status))
                return
            }
            let number = Int32(status & ((1 << UInt32(EXEC_FAILURE_SHIFT)) - 1))
            self = .failed(ExecError.initFailed(step, ErrorNumber(rawValue: number)))
            return
        }
        // As wait4(2) has it: a signal in bits 0 to 6, 0 for none, with bit 7 for a core dump; else a status in bits 8
        // to 15. Signal 127 stands for a process that was stopped, of which init does not report.
        let signal = Int32(status & 0x7f)
        switch (status > 0xffff, signal) {
        case (true, _), (_, 0x7f): self = .failed(ExecError.unknownStatus(status))
        case (_, 0): self = .programExited(UInt8(truncatingIfNeeded: status >> 8))
        case (_, let signal): self = .programKilled(signal)
        }
    }
}
