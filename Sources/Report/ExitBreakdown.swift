package import Counters

/// Every exit of a run, or of one of its vCPUs, where all were counted: what KVM settled itself and what came out to
/// MiniVMM, in one order. Times in nanoseconds.
package struct ExitBreakdown {
    /// Who settles an exit.
    package enum Settler: String, Sendable {
        /// The kernel's KVM, without leaving the kernel.
        case kvm = "KVM"
        /// MiniVMM, after KVM_RUN has returned.
        case miniVMM = "VMM"
    }

    /// The exits for one reason, or of one kind.
    package struct Row {
        package let name: String
        package let type: BasicExitReason?
        package let settler: Settler
        package let exits: UInt64
        /// What it took: KVM's time for KVM's, MiniVMM's for its own.
        package let nanoseconds: Double
        package let p50: Double
        package let p99: Double
        package let maximum: Double
    }

    /// All exits of one of the SDM's types, or of a kind that has none.
    package struct TypeSum {
        package let name: String
        package let type: BasicExitReason?
        package fileprivate(set) var exits: UInt64 = 0
        package fileprivate(set) var nanoseconds = 0.0
    }

    /// The most expensive first.
    package let rows: [Row]
    /// What vCPUs slept in exits that KVM settled, HLT for one: in no row.
    package let haltedNanoseconds: UInt64

    /// What was counted of all vCPUs, or of one.
    ///
    /// - Returns: nil where the run did not count every exit.
    package init?(_ outcome: RunOutcome, _ statistics: VCPUStatistics) {
        guard let kernel = outcome.kernelSettled else { return nil }
        self.init(
            kernel, vcpu: statistics.vcpu,
            own: statistics.kinds.map {
                OwnExits(
                    kind: $0.kind, exits: $0.exits, cycles: $0.serviceCycles, p50: $0.p50, p99: $0.p99, max: $0.max)
            })
    }

    /// What was counted so far of all vCPUs. MiniVMM's exits have no percentiles.
    ///
    /// - Returns: nil where not every exit is counted.
    init?(_ snapshot: CounterSnapshot) {
        guard let kernel = snapshot.kernelSettled else { return nil }
        self.init(
            kernel, vcpu: nil,
            own: snapshot.kinds.map {
                OwnExits(kind: $0.kind, exits: $0.exits, cycles: $0.serviceCycles, p50: 0, p99: 0, max: $0.max)
            })
    }

    /// The exits of one kind that came out to MiniVMM. Times in cycles.
    private struct OwnExits {
        let kind: ExitKind
        let exits, cycles, p50, p99, max: UInt64
    }

    private init(_ kernel: KernelSettledExits, vcpu: Int?, own: [OwnExits]) {
        let reasons = kernel.rows(ofVCPU: vcpu)
        haltedNanoseconds = reasons.reduce(0) { $0 &+ $1.haltedNanoseconds }
        let settled = KernelSettledExits.Row.byReason(reasons).filter { $0.exits > 0 }.map { reason in
            Row(
                name: reason.name(isSVM: kernel.isSVM), type: reason.reason, settler: .kvm, exits: reason.exits,
                nanoseconds: Double(reason.nanoseconds), p50: Double(reason.quantile(0.5)),
                p99: Double(reason.quantile(0.99)), maximum: Double(reason.maximum))
        }
        let scale = 1 / kernel.cyclesPerNanosecond
        let mine = own.map { own in
            Row(
                name: own.kind.name, type: own.kind.basicExitReason, settler: .miniVMM, exits: own.exits,
                nanoseconds: Double(own.cycles) * scale, p50: Double(own.p50) * scale, p99: Double(own.p99) * scale,
                maximum: Double(own.max) * scale)
        }
        rows = (settled + mine).sorted { ($0.nanoseconds, $0.exits) > ($1.nanoseconds, $1.exits) }
    }

    /// All exits.
    package var exits: UInt64 { rows.reduce(0) { $0 &+ $1.exits } }
    /// Those that someone settles.
    package func exits(by settler: Settler) -> UInt64 {
        rows.reduce(0) { $1.settler == settler ? $0 &+ $1.exits : $0 }
    }
    /// What those took.
    package func nanoseconds(by settler: Settler) -> Double {
        rows.reduce(0) { $1.settler == settler ? $0 + $1.nanoseconds : $0 }
    }
    /// What all took.
    package var nanoseconds: Double { rows.reduce(0) { $0 + $1.nanoseconds } }

    /// The rows by type, so that IN and OUT, and KVM's and MiniVMM's share of a type, add up.
    package var types: [TypeSum] {
        TypeSum.sums(of: rows.map { ($0.name, $0.type, $0.exits, $0.nanoseconds) })
    }
}

extension ExitBreakdown.TypeSum {
    /// Sums by type, in the order in which the types come. What has no type stays by itself.
    package static func sums(
        of rows: [(name: String, type: BasicExitReason?, exits: UInt64, time: Double)]
    ) -> [Self] {
        var sums: [Self] = []
        for row in rows {
            let name = row.type?.name ?? row.name
            if !sums.contains(where: { $0.name == name }) { sums.append(Self(name: name, type: row.type)) }
            guard let index = sums.firstIndex(where: { $0.name == name }) else { continue }
            sums[index].exits &+= row.exits
            sums[index].nanoseconds += row.time
        }
        return sums
    }
}

extension ExitBreakdown.TypeSum {
    /// The name, and the SDM's number for it.
    private var title: String { type.map { "\(name) (\($0.rawValue))" } ?? name }

    /// The most frequent and the most expensive of several in a sentence; the first of those that are as many. None where
    /// there is none.
    ///
    /// - Parameter unit: What they cost.
    package static func extremes(_ types: [Self], unit: String) -> [String] {
        let exits = types.reduce(0) { $0 &+ $1.exits }
        let cost = types.reduce(0) { $0 + $1.nanoseconds }
        guard let frequent = types.max(by: { $0.exits < $1.exits }),
            let expensive = types.max(by: { $0.nanoseconds < $1.nanoseconds })
        else { return [] }
        let share = HumanNumber.share(frequent.exits, of: exits)
        let part = HumanNumber.share(UInt64(expensive.nanoseconds), of: UInt64(cost))
        if frequent.name == expensive.name {
            return ["Most frequent and most expensive: \(frequent.title), \(share) of exits and \(part) of \(unit)."]
        }
        return [
            "Most frequent: \(frequent.title), \(share) of exits. Most expensive: \(expensive.title), \(part) of \(unit)."
        ]
    }
}

extension KernelSettledExits.Row {
    /// What it is called: the SDM's reason, else the processor's own number.
    package func name(isSVM: Bool) -> String { Self.name(code: code, reason: reason, isSVM: isSVM) }

    package static func name(code: UInt32?, reason: BasicExitReason?, isSVM: Bool) -> String {
        if let reason { return reason.name }
        return code.map { (isSVM ? "SVM 0x" : "VMX ") + String($0, radix: isSVM ? 16 : 10) } ?? "other"
    }
}
