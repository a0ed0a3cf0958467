package import Counters
import Host

/// Where exits come from.
extension TextReport {
    /// The places with most exits of those that KVM settled itself. No line where none were kept.
    var placesBlock: [String] {
        guard top > 0, let kernel = outcome.kernelSettled, let kept = kernel.places else { return [] }
        var lines = ["", style.text("Where exits come from that KVM settled:", as: .heading)]
        let sums = PlaceSum.sums(of: kept.places, isSVM: kernel.isSVM)
        let all = sums.reduce(0) { $0 &+ $1.exits } &+ kept.lostExits
        var table = TextTable([.right, .right, .right, .right, .left, .left, .left], style: style)
        table.add(["count", "share", "in KVM", "mean", "exit", "about", "instruction"], as: .heading)
        for sum in sums.prefix(top) {
            let mean = sum.exits == 0 ? 0 : Double(sum.nanoseconds) / Double(sum.exits)
            table.add([
                HumanNumber.count(sum.exits), HumanNumber.share(sum.exits, of: all),
                HumanNumber.seconds(Double(sum.nanoseconds) / 1e9), HumanNumber.seconds(mean / 1e9), sum.name,
                sum.subject?.text ?? "", sum.address.map { "0x" + Hex.digits($0, 1) } ?? "",
            ])
        }
        lines += table.lines
        let rest = sums.count - min(top, sums.count)
        if rest > 0 { lines.append("and \(rest) more places.") }
        if kept.lostExits > 0 { lines.append("\(kept.lostExits) exits came from places that found no room.") }
        return lines
    }
}

/// The exits of one place, over all vCPUs.
package struct PlaceSum {
    package let name: String
    package let subject: KernelExitPlaces.Subject?
    package let address: UInt64?
    package private(set) var exits: UInt64 = 0
    package private(set) var nanoseconds: UInt64 = 0

    private struct Key: Hashable {
        let name: String
        let subject: KernelExitPlaces.Subject?
        let address: UInt64?
    }

    /// Sums over vCPUs, those with most exits first.
    package static func sums(of places: [KernelExitPlaces.Place], isSVM: Bool) -> [Self] {
        var sums: [Key: Self] = [:]
        for place in places {
            let name = KernelSettledExits.Row.name(code: place.code, reason: place.reason, isSVM: isSVM)
            let key = Key(name: name, subject: place.subject, address: place.address)
            var sum = sums[key] ?? Self(name: name, subject: place.subject, address: place.address)
            sum.exits &+= place.exits
            sum.nanoseconds &+= place.nanoseconds
            sums[key] = sum
        }
        // The address settles ties, so that the order is the same each time.
        return sums.values.sorted {
            ($0.exits, $0.nanoseconds, $0.address ?? 0) > ($1.exits, $1.nanoseconds, $1.address ?? 0)
        }
    }
}

extension KernelExitPlaces.Subject {
    /// The subject in a word or two.
    package var text: String {
        switch self {
        case .msr(let number): "MSR 0x\(Hex.digits(number, 1))"
        case .cpuid(let leaf, let subleaf): "leaf 0x\(Hex.digits(leaf, 1)), \(subleaf)"
        case .port(let port): "port 0x\(Hex.digits(port, 1))"
        case .address(let address): "address 0x\(Hex.digits(address, 1))"
        }
    }
}
