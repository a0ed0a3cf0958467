/// What a machine kept of its exits besides the counters.
extension Machine {
    /// Puts what was kept into the outcome. Only when the threads have ended.
    func addRecords(to outcome: inout RunOutcome, origin: UInt64) {
        let timelines = runners.compactMap { $0.recorder?.timeline }
        if !timelines.isEmpty {
            outcome.timeline = ExitTimeline(sumOf: timelines)
            outcome.distributions = distributions(of: outcome.statistics.total.kinds.map(\.kind))
        }
        if parts.recording.readsKernelStatistics {
            // A KVM that does not hand them out has none to show. Each vCPU has some, or none has.
            outcome.kernelStatistics = runners.compactMap { try? $0.vcpu.kernelStatistics() }
        }
        let tracks = runners.compactMap { runner in
            runner.recorder?.trace.map { trace in
                let events = trace.kept
                return ExitTrace.Track(
                    vcpu: runner.index, events: events, lostCount: trace.recordedCount &- UInt64(events.count))
            }
        }
        if !tracks.isEmpty { outcome.trace = ExitTrace(tracks: tracks, origin: origin) }
    }

    private func distributions(of kinds: [ExitKind]) -> [ServiceTimeDistribution] {
        kinds.map { kind in
            ServiceTimeDistribution(kind, of: runners.compactMap { $0.counters.histogram(of: kind) })
        }
    }
}
