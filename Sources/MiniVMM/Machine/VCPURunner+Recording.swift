/// Exits that are kept for a report or a trace.
extension VCPURunner {
    /// Records an exit that was just booked.
    ///
    /// Not inlined, so that a run that keeps nothing pays for a comparison and no more.
    ///
    /// - Parameters:
    ///   - end: When its service ended, as the time-stamp counter said.
    ///   - cycles: The service time that was booked. In a trace it ends at `end` and so starts early by what booking
    ///     the previous exit took, which is part of it. That exit ended earlier still, so exits never overlap.
    /// - Returns: Cycles that are no exit's, and are booked as MiniVMM's own; nearly always 0.
    @inline(never)
    func record(_ kind: ExitKind, end: UInt64, cycles: UInt64) -> UInt64 {
        // Sound: the runner holds on to its recorder, and so to both parts.
        if let trace {
            let event = event(kind, start: end &- cycles, cycles: cycles)
            trace._withUnsafeGuaranteedRef { $0.record(event) }
        }
        guard let timeline else { return 0 }
        let ownCycles = timeline._withUnsafeGuaranteedRef { $0.record(kind, at: end) }
        if ownCycles > 0 { counters.bookOwn(cycles: ownCycles) }
        return ownCycles
    }

    /// The exit in the run page as an event.
    @inline(__always)
    private func event(_ kind: ExitKind, start: UInt64, cycles: UInt64) -> TraceEvent {
        var event = TraceEvent(start: start, cycles: cycles)
        event.kindNumber = UInt8(truncatingIfNeeded: kind.rawValue)
        if kind == .cpuid {
            // Its carrier, an OUT or a breakpoint, says nothing of it.
            event.subject = UInt64(responder.lastLeaf)
            event.extra = responder.lastSubleaf
        } else {
            let exit = Exit(of: vcpu)
            // In single-step mode a HLT has no exit of its own.
            if exit.kind == kind { event.describe(exit) }
        }
        return event
    }
}
