import Counters
package import Host
package import Tracepoints

/// Counts the exits of another process's vCPUs, for a time. That process notices nothing: the kernel's tracepoints run a
/// few instructions more.
package final class ExitWatch: Sendable {
    /// Who is watched.
    package let process: WatchedProcess
    private let tracepoints: ExitTracepoints
    private let start: ContinuousClock.Instant
    /// What KVM and the tracepoints had counted when the watch began; nil where KVM's count cannot be read.
    private let firstReading: KernelReading?

    /// Places for vCPUs that come later.
    private static let spareVCPUCount = 16

    /// Starts to count.
    ///
    /// - Parameters:
    ///   - process: The process.
    ///   - method: How the programs are attached; nil for what works.
    /// - Throws: ``WatchError/tracepoints(_:)``.
    package init(
        _ process: consuming WatchedProcess, method: ExitTracepoints.Method? = nil
    ) throws(WatchError) {
        do throws(TracepointError) {
            tracepoints = try ExitTracepoints(
                method: method, threadCount: (process.vcpus.last ?? 0) + 1 + Self.spareVCPUCount,
                process: process.number)
        } catch {
            // A process that has ended meanwhile has no namespace of process ids.
            throw process.hasEnded ? .noSuchProcess(process.number) : .tracepoints(error)
        }
        self.process = process
        start = .now
        firstReading = KernelReading(self.process.statistics, tracepoints)
    }

    /// How the programs are attached.
    package var method: ExitTracepoints.Method { tracepoints.method }

    /// What was counted so far. Any thread may look.
    package func look() -> WatchLook {
        WatchLook(
            exits: KernelSettledExits(of: tracepoints), lostExits: tracepoints.lostExits, elapsed: .now - start)
    }

    /// Goes on counting until the time is up, the process has ended, or somebody stops it.
    ///
    /// - Parameters:
    ///   - duration: How long at most, from the start; nil for as long as it takes.
    ///   - pulses: What is done from time to time.
    ///   - stop: Ends the watch.
    package func run(for duration: Duration?, pulses: [WatchPulse] = [], stop: WatchStop) -> WatchOutcome {
        let deadline = duration.map { start + $0 }
        var beats = pulses.map { Beat($0, start) }
        let ending = wait(until: deadline, &beats, stop)
        var outcome = outcome(ending)
        for index in beats.indices where beats[index].pulse.includesRest && outcome.error == nil {
            do { try beats[index].beat(outcome.look) } catch { outcome.error = error }
        }
        return outcome
    }

    /// Waits for the end, and lets the pulses beat meanwhile.
    private func wait(
        until deadline: ContinuousClock.Instant?, _ beats: inout [Beat], _ stop: WatchStop
    ) -> Result<WatchEnding, any Error> {
        while true {
            let next = (beats.map(\.next) + (deadline.map { [$0] } ?? [])).min()
            switch stop.bell.wait(until: next, or: process.end.number) {
            case .ringing: return .success(stop.signal.map { .signal($0) } ?? .stopped)
            case .otherReadable, .thirdReady: return .success(.processEnded)
            case .timeIsUp: if let deadline, deadline <= .now { return .success(.timeUp) }
            }
            do {
                for index in beats.indices where beats[index].next <= .now { try beats[index].beat(look()) }
            } catch {
                return .failure(error)
            }
        }
    }

    /// What the watch has come to.
    private func outcome(_ ending: Result<WatchEnding, any Error>) -> WatchOutcome {
        let check = KernelReading(process.statistics, tracepoints).flatMap { last in
            firstReading.map { KernelCheck(from: $0, to: last) }
        }
        var outcome = WatchOutcome(
            process: process.number, name: process.name, vcpus: process.vcpus, machineCount: process.machineCount,
            method: method, look: look(), check: check)
        switch ending {
        case .success(let ending): outcome.ending = ending
        case .failure(let error): outcome.error = error
        }
        return outcome
    }
}

/// Something that is done again and again while a process is watched.
package struct WatchPulse {
    /// The time between two calls.
    package let period: Duration
    /// Whether it is called once more for what is left when the watch ends.
    package let includesRest: Bool
    /// Is told of the time since the last call.
    package let body: (WatchInterval) throws -> Void

    package init(every period: Duration, includesRest: Bool, _ body: @escaping (WatchInterval) throws -> Void) {
        self.period = period
        self.includesRest = includesRest
        self.body = body
    }
}

/// Where a pulse stands.
private struct Beat {
    let pulse: WatchPulse
    /// What the last call was told; the first is told of all that was counted.
    private var last: WatchLook?
    private(set) var next: ContinuousClock.Instant

    init(_ pulse: WatchPulse, _ start: ContinuousClock.Instant) {
        self.pulse = pulse
        next = start + pulse.period
    }

    mutating func beat(_ look: WatchLook) throws {
        let interval = WatchInterval(from: last, to: look)
        last = look
        // Those that were missed are left out.
        repeat { next += pulse.period } while next <= .now
        try pulse.body(interval)
    }
}

/// Ends a watch, from any thread.
package final class WatchStop: Sendable {
    let bell: Doorbell
    private let number = Locked<Int32?>(nil)

    /// - Throws: `ResourceError` when the system refuses a descriptor.
    package init() throws(ResourceError) {
        bell = try Doorbell()
    }

    /// Ends the watch because of a signal.
    package func stop(signal: Int32) {
        number.withLock { $0 = signal }
        bell.ring()
    }

    /// Ends the watch.
    package func stop() { bell.ring() }

    var signal: Int32? { number.withLock { $0 } }
}

/// KVM's own count and the tracepoints' at one moment.
private struct KernelReading {
    let kernel: UInt64
    /// The tracepoints' count, before and after KVM's was read.
    let before, after: UInt64

    init?(_ files: MachineStatisticsFiles, _ tracepoints: ExitTracepoints) {
        before = tracepoints.allExits
        guard let kernel = files.exits else { return nil }
        self.kernel = kernel
        after = tracepoints.allExits
    }
}

extension KernelCheck {
    fileprivate init(from first: KernelReading, to last: KernelReading) {
        let least = last.before &- first.after
        self.init(
            kernel: last.kernel &- first.kernel, tracepoints: least...max(least, last.after &- first.before))
    }
}

extension ExitTracepoints {
    /// Exits so far of all threads, lost ones included.
    fileprivate var allExits: UInt64 {
        var sum = lostExits
        for thread in 0..<threadCount {
            for reason in 0..<ExitReasonIndex.count { sum &+= count(thread: thread, reason: reason) }
        }
        return sum
    }
}
