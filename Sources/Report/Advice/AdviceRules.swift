package import Counters

/// The rules that find what there is to say about a run. Each goes by numbers of the run, and finds nothing without them.
package struct AdviceRules {
    private let outcome: RunOutcome
    private let total: VCPUStatistics
    private let breakdown: ExitBreakdown?
    private let kernel: KernelCounts
    /// All exits that were counted.
    private let exits: UInt64

    package init(_ outcome: RunOutcome) {
        self.outcome = outcome
        total = outcome.statistics.total
        breakdown = ExitBreakdown(outcome, total)
        kernel = KernelCounts(outcome.kernelStatistics)
        exits = breakdown?.exits ?? total.exits
    }

    /// With fewer exits, accesses or steps nothing is said: what is little in all costs little.
    package static let fewest: UInt64 = 1000
    /// With a smaller part of the exits or of the time nothing is said.
    package static let leastShare = 0.1

    /// What all rules find, that with the greatest part first.
    package var advice: [Advice] {
        let found =
            [
                localAPIC, timer, programCPUIDs, hostInterrupts, nestedPageFaults, shadowPaging, emulatedInstructions,
                singleSteps, haltPolling,
            ].compactMap { $0 } + ports + missing + outcome.devices.compactMap(smallRequests)
            + outcome.devices.compactMap(notificationsByExit)
        // Sorting keeps the rules' order among equals: the order is the same each time.
        return found.enumerated()
            .sorted { ($1.element.share, $0.offset) < ($0.element.share, $1.offset) }.map(\.element)
    }

    /// A finding, if its part of the exits is worth a sentence.
    private func advice(_ finding: Advice.Finding, _ count: UInt64, of whole: UInt64) -> Advice? {
        guard count >= Self.fewest, whole > 0 else { return nil }
        // The numbers are read one after the other: a part may come out greater than the whole.
        let share = min(1, Double(count) / Double(whole))
        return share >= Self.leastShare ? Advice(finding, count: count, share: share) : nil
    }

    // MARK: Devices

    /// Exits for a port, and what they moved.
    private struct PortUse {
        var exits: UInt64 = 0
        /// Bytes that were written to the first of a serial port's eight registers, the transmitter's.
        var sent: UInt64 = 0
    }

    /// The exits of each port, and of all: those of the places, or where none were kept those of the trace.
    private var portUse: (ports: [UInt16: PortUse], whole: UInt64, of: Advice.Whole)? {
        var uses: [UInt16: PortUse] = [:]
        func add(_ kind: ExitKind?, _ port: UInt16, _ count: UInt64, bytes: UInt64) {
            uses[port, default: PortUse()].exits &+= count
            if kind == .portOut, port & 7 == 0 { uses[port, default: PortUse()].sent &+= bytes }
        }
        if let kept = outcome.places {
            var whole = kept.lostExits &+ (kept.kernelLostExits ?? 0)
            for place in kept.places {
                whole &+= place.exits
                guard case .port(let port)? = place.subject, case .minivmm(let kind) = place.exit else { continue }
                add(kind, port, place.exits, bytes: place.exits)
            }
            return (uses, whole, .exits)
        }
        guard let trace = outcome.trace else { return nil }
        let events = trace.tracks.flatMap(\.events)
        for event in events where event.kind == .portIn || event.kind == .portOut {
            add(event.kind, UInt16(truncatingIfNeeded: event.subject), 1, bytes: UInt64(event.extra))
        }
        return (uses, UInt64(events.count), .traced)
    }

    /// The serial port, or another one, that most of these exits are for.
    private var ports: [Advice] {
        guard let use = portUse else { return [] }
        var serial: [String: PortUse] = [:]
        var found: [Advice?] = []
        for (port, sum) in use.ports.sorted(by: { $0.key < $1.key }) {
            guard let name = AddressNames.port(port), name.hasPrefix("ttyS") else {
                found.append(advice(.busyPort(port, of: use.of), sum.exits, of: use.whole))
                continue
            }
            serial[name, default: PortUse()].exits &+= sum.exits
            serial[name, default: PortUse()].sent &+= sum.sent
        }
        let serials = serial.sorted { $0.key < $1.key }.map { name, sum in
            advice(.serialPort(name: name, bytes: sum.sent, of: use.of), sum.exits, of: use.whole)
        }
        return (serials + found).compactMap { $0 }.filter { $0.share >= Self.busyShare }
    }

    /// A port is busy that takes this part of the exits: a guest with a single device may well have one that
    /// takes some.
    package static let busyShare = 0.5

    /// The port and the page that nobody claims and that were touched most.
    private var missing: [Advice] {
        /// How often, and where.
        func most(_ list: [UnclaimedAddress]) -> (count: UInt64, address: UInt64)? {
            list.map { ($0.reads &+ $0.writes, $0.address) }.max { $0.0 < $1.0 }
        }
        let port = most(outcome.unclaimedPorts).flatMap {
            advice(.missingPort(UInt16(truncatingIfNeeded: $0.address)), $0.count, of: exits)
        }
        let page = most(outcome.unclaimedPages).flatMap { advice(.missingPage($0.address), $0.count, of: exits) }
        return [port, page].compactMap { $0 }
    }

    /// A virtio device whose requests move so little that its exits go by their number.
    private func smallRequests(_ device: DeviceActivity) -> Advice? {
        let count = device.frames.map { $0.fromGuest &+ $0.toGuest } ?? device.requests
        let moved = device.bytesFromGuest &+ device.bytesToGuest
        guard count > 0, let limit = Self.smallSize(device.kind), moved / count < limit else { return nil }
        return advice(
            .smallRequests(device.kind, device: device.name, bytes: moved / count), device.exits, of: exits)
    }

    /// With fewer bytes a request of a device, or a frame, is small, and larger ones take a fraction of the exits of a KiB.
    /// Benchmarks/README.md has figures.
    private static func smallSize(_ kind: DeviceActivity.Kind) -> UInt64? {
        switch kind {
        // A line, where it could be a page.
        case .console: 256
        case .disk, .share: 16 << 10
        // An Ethernet frame as it has always been, where it could have 64 KiB.
        case .network: 1536
        case .entropy: nil
        }
    }

    /// A virtio device that is notified by exits although a thread of its own serves it.
    private func notificationsByExit(_ device: DeviceActivity) -> Advice? {
        guard !device.isNotifiedByKernel, [.disk, .network, .share].contains(device.kind) else { return nil }
        // An interrupt is two accesses: its cause is read and acknowledged.
        let (notifications, isNegative) = device.exits.subtractingReportingOverflow(2 &* device.interrupts)
        guard !isNegative else { return nil }
        return advice(.notificationsByExit(device: device.name), notifications, of: exits)
    }

    // MARK: Interrupts and timers

    /// Exits that KVM settled, of the places that fit.
    private func places(_ fits: (ExitPlaces.Place) -> Bool) -> UInt64 {
        outcome.places?.places.reduce(0) { $1.exit.isKernels && fits($1) ? $0 &+ $1.exits : $0 } ?? 0
    }

    /// Exits for one of the SDM's reasons, whoever settled them.
    private func exits(_ reason: BasicExitReason?) -> UInt64 {
        breakdown?.rows.reduce(0) { $1.type == reason && reason != nil ? $0 &+ $1.exits : $0 } ?? 0
    }

    private var localAPIC: Advice? {
        let atPage = places { place in
            guard place.exit.reason != .apicAccess, case .page(let page)? = place.subject else { return false }
            return AddressNames.page(page) == "local APIC"
        }
        return advice(.localAPICByMMIO, atPage &+ exits(.apicAccess), of: exits)
    }

    /// The MSRs that set the local APIC's timer. Source: SDM, volume 3, "APIC Timer".
    private static let timerMSRs: [UInt32] = [0x6e0, 0x838]

    private var timer: Advice? {
        Self.timerMSRs.compactMap { msr in
            advice(.timer(msr: msr), places { $0.exit.reason == .wrmsr && $0.subject == .msr(msr) }, of: exits)
        }.max { $0.count < $1.count }
    }

    private var hostInterrupts: Advice? {
        let count = max(exits(.externalInterrupt), kernel["irq_exits"])
        let whole = breakdown == nil ? kernel["exits"] : exits
        let seconds = outcome.seconds * Double(outcome.statistics.vcpus.count)
        guard seconds > 0 else { return nil }
        let rate = UInt64(Double(count) / seconds)
        // A timer tick of the host alone makes up to a thousand a second.
        guard rate > Self.quietInterruptRate else { return nil }
        return advice(.hostInterrupts(perSecond: rate), count, of: whole)
    }

    /// Interrupts of the host that are no news, a second on each vCPU: those of a timer tick with HZ=1000.
    package static let quietInterruptRate: UInt64 = 1100

    private var haltPolling: Advice? {
        let nanoseconds = kernel["halt_poll_success_ns"] &+ kernel["halt_poll_fail_ns"]
        let whole = outcome.seconds * 1e9 * Double(outcome.statistics.vcpus.count)
        let share = whole > 0 ? min(1, Double(nanoseconds) / whole) : 0
        guard share >= Self.leastShare, nanoseconds >= Self.leastPolling else { return nil }
        return Advice(.haltPolling(nanoseconds: nanoseconds), count: kernel["halt_attempted_poll"], share: share)
    }

    /// Nanoseconds of active waiting that are worth a sentence.
    package static let leastPolling: UInt64 = 10_000_000

    // MARK: CPUID

    private var programCPUIDs: Advice? {
        guard outcome.trap == .fault, let cpuid = total.kinds.first(where: { $0.kind == .cpuid }) else { return nil }
        return advice(.programCPUIDs, cpuid.exits, of: exits)
    }

    private var singleSteps: Advice? {
        let whole = total.serviceCycles &+ total.internalCycles &+ total.runCycles
        guard outcome.trap == .step, total.internalExits >= Self.fewest, whole > 0 else { return nil }
        let share = Double(total.internalCycles) / Double(whole)
        return share >= Self.leastShare ? Advice(.singleSteps, count: total.internalExits, share: share) : nil
    }

    // MARK: Memory and emulation

    /// Nested page faults that KVM settled: those for MMIO come out to MiniVMM, or to a device of KVM's.
    private var nestedPageFaults: Advice? {
        let count = breakdown?.rows.first { $0.type == .eptViolation && $0.settler == .kvm }?.exits ?? 0
        return advice(.nestedPageFaults, count, of: exits)
    }

    /// With nested paging neither page faults nor writes of CR3 exit. Source: SDM, volume 3, "Basic exit reasons", 14 and 28.
    private var shadowPaging: Advice? {
        guard exits(.eptViolation) == 0, exits(.eptMisconfiguration) == 0 else { return nil }
        let registers = exits(BasicExitReason(rawValue: 28)) &+ exits(BasicExitReason(rawValue: 14))
        guard registers > 0 else { return nil }
        return advice(.shadowPaging, exits(.exceptionOrNMI) &+ registers, of: exits)
    }

    private var emulatedInstructions: Advice? {
        let (instructions, whole) = (kernel["insn_emulation"], kernel["exits"])
        guard whole > 0, instructions >= Self.fewestInstructions, instructions / whole >= Self.manyInstructions else {
            return nil
        }
        return Advice(
            .emulatedInstructions(perExit: instructions / whole), count: instructions,
            share: Double(instructions) / Double(whole))
    }

    /// Instructions for an exit that say that the emulator runs code: one alone is what an access to a device takes.
    package static let manyInstructions: UInt64 = 4
    /// Fewer emulated instructions are a moment: what sets a guest up in real mode.
    package static let fewestInstructions: UInt64 = 10_000
}
