package import Counters
import Host

/// Where exits come from.
extension TextReport {
    /// The places with most exits, by what they are about and by the guest's code. No line where none were kept.
    var placesBlock: [String] {
        guard top > 0, let kept = outcome.places else { return [] }
        return block("Where exits come from, by what they are about:", "about", PlaceSum.details(of: kept), kept)
            + block(
                "Where exits come from, by the guest's code:", kept.hasFunctions ? "function" : "instruction",
                PlaceSum.code(of: kept), kept) + remarks(kept)
    }

    private func block(_ title: String, _ subject: String, _ sums: [PlaceSum], _ kept: ExitPlaces) -> [String] {
        var lines = ["", style.text(title, as: .heading)]
        let all = sums.reduce(0) { $0 &+ $1.exits } &+ kept.lostExits &+ (kept.kernelLostExits ?? 0)
        var table = TextTable([.right, .right, .right, .right, .right, .left, .left], style: style)
        table.add(["count", "share", "time", "p50", "p99", "exit", subject], as: .heading)
        for sum in sums.prefix(top) {
            let times = [sum.nanoseconds, sum.quantile(0.5), sum.quantile(0.99)]
            table.add(
                [HumanNumber.count(sum.exits), HumanNumber.share(sum.exits, of: all)]
                    + times.map { HumanNumber.seconds(Double($0) / 1e9) } + [sum.name, sum.subject])
        }
        lines += table.lines
        let rest = sums.count - min(top, sums.count)
        if rest > 0 { lines.append("and \(rest) more.") }
        return lines
    }

    private func remarks(_ kept: ExitPlaces) -> [String] {
        var lines: [String] = []
        if kept.kernelLostExits != nil { lines.append("Rows with `kvm` are exits that KVM settled itself.") }
        let lost = kept.lostExits &+ (kept.kernelLostExits ?? 0)
        if lost > 0 { lines.append("\(lost) exits came from places that found no room.") }
        return lines
    }
}

/// The exits of several places that have something in common.
package struct PlaceSum {
    /// What the exits were; with `kvm` in front where KVM settled them.
    package let name: String
    /// What they were about, or which code made them; empty where that is not known.
    package let subject: String
    package private(set) var exits: UInt64 = 0
    package private(set) var nanoseconds: UInt64 = 0
    package let exit: ExitPlaces.Exit
    private let kept: ExitPlaces
    private var histogram = [UInt64](repeating: 0, count: ExitPlaces.bucketCount)

    /// An upper bound of the time that the given share of the exits took, in nanoseconds.
    package func quantile(_ share: Double) -> UInt64 {
        kept.nanoseconds(ExitPlaces.quantile(share, of: histogram), of: exit)
    }

    /// What makes a sum.
    struct Key: Hashable {
        let name: String
        let subject: String
    }

    var key: Key { Key(name: name, subject: subject) }

    /// By what exits were about: those with most exits first.
    package static func details(of kept: ExitPlaces) -> [Self] {
        sums(of: kept) { place in place.subject.map(kept.text) ?? "" }
    }

    /// By function, or by instruction where its function is not known: those with most exits first.
    package static func code(of kept: ExitPlaces) -> [Self] {
        sums(of: kept) { place in place.function?.name ?? place.address.map(Hex.number) ?? "" }
    }

    private static func sums(of kept: ExitPlaces, _ subject: (ExitPlaces.Place) -> String) -> [Self] {
        var sums: [Key: Self] = [:]
        for place in kept.places {
            let key = Key(name: kept.name(of: place.exit), subject: subject(place))
            var sum = sums[key] ?? Self(name: key.name, subject: key.subject, exit: place.exit, kept: kept)
            sum.exits &+= place.exits
            sum.nanoseconds &+= kept.nanoseconds(place.time, of: place.exit)
            for (bucket, count) in place.histogram.enumerated() { sum.histogram[bucket] &+= count }
            sums[key] = sum
        }
        // Names settle ties, so that the order is the same each time.
        return sums.values.sorted {
            ($0.exits, $0.nanoseconds, $1.name, $1.subject) > ($1.exits, $1.nanoseconds, $0.name, $0.subject)
        }
    }

    private init(name: String, subject: String, exit: ExitPlaces.Exit, kept: ExitPlaces) {
        self.name = name
        self.subject = subject
        self.exit = exit
        self.kept = kept
    }
}

extension ExitPlaces {
    /// What stands before the names of exits that KVM settled.
    static let kernelPrefix = "kvm "

    /// What an exit was, with `kvm` in front where KVM settled it.
    package func name(of exit: Exit) -> String {
        switch exit {
        case .minivmm(let kind): kind.name
        case .kvm(let code, let reason):
            Self.kernelPrefix + KernelSettledExits.Row.name(code: code, reason: reason, isSVM: isSVM)
        }
    }

    /// What an exit was about, with its name where it has one.
    package func text(_ subject: Subject) -> String {
        name(of: subject).map { "\(subject.text) (\($0))" } ?? subject.text
    }

    /// The name of what an exit was about: of the machine's device, or of what a PC has there, of an MSR, of a leaf.
    package func name(of subject: Subject) -> String? {
        switch subject {
        case .msr(let number): MSRNames.name(of: number)
        case .cpuid(let leaf, _): LeafNames.name(of: leaf)
        case .port(let port): device(at: subject) ?? AddressNames.port(port)
        case .page(let page): device(at: subject) ?? AddressNames.page(page)
        case .hypercall: nil
        }
    }

    /// Whether any place has a function.
    package var hasFunctions: Bool { places.contains { $0.function != nil } }
}

extension ExitPlaces.Subject {
    /// The subject in a word or two.
    package var text: String {
        switch self {
        case .msr(let number): "MSR 0x\(Hex.digits(number, 1))"
        case .cpuid(let leaf, let subleaf):
            "leaf 0x\(Hex.digits(leaf, 1))" + (Self.hasSubleaves(leaf) ? ", \(subleaf)" : "")
        case .port(let port): "port 0x\(Hex.digits(port, 1))"
        case .page(let address): "page 0x\(Hex.digits(address, 1))"
        case .hypercall(let number): "hypercall \(number)"
        }
    }
}
