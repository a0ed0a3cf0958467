import Counters
import Host

/// Where exits come from, in the JSON format.
struct PlacesRecord: Encodable {
    /// One place. Numbers of 64 bits that are no counts are strings, because not every JSON reader keeps them.
    struct Place: Encodable {
        let place: ExitPlaces.Place
        let kept: ExitPlaces

        private enum CodingKeys: String, CodingKey {
            case vcpu
            case settledBy = "settled_by"
            case name
            case sdm
            case address
            case function
            case offset
            case subject
            case subjectName = "subject_name"
            case exits
            case cycles
            case nanoseconds = "ns"
            case p50 = "p50_ns"
            case p99 = "p99_ns"
        }

        // Written out because the compiler's own version leaves out what is nil.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(place.vcpu, forKey: .vcpu)
            try container.encode(place.exit.isKernels ? "kvm" : "minivmm", forKey: .settledBy)
            try container.encode(kept.name(of: place.exit), forKey: .name)
            try container.encode(place.exit.reason?.rawValue, forKey: .sdm)
            try container.encode(place.address.map(Hex.number), forKey: .address)
            try container.encode(place.function?.name, forKey: .function)
            try container.encode(place.function?.offset, forKey: .offset)
            try container.encode(place.subject?.text, forKey: .subject)
            try container.encode(place.subject.flatMap(kept.name), forKey: .subjectName)
            try container.encode(place.exits, forKey: .exits)
            try container.encode(kept.cycles(place.time, of: place.exit), forKey: .cycles)
            try container.encode(kept.nanoseconds(place.time, of: place.exit), forKey: .nanoseconds)
            for (share, key) in [(0.5, CodingKeys.p50), (0.99, .p99)] {
                let time = ExitPlaces.quantile(share, of: place.histogram)
                try container.encode(kept.nanoseconds(time, of: place.exit), forKey: key)
            }
        }
    }

    private let kept: ExitPlaces

    private enum CodingKeys: String, CodingKey {
        case places
        case lostExits = "lost_exits"
        case kernelLostExits = "kernel_lost_exits"
    }

    init(_ kept: ExitPlaces) {
        self.kept = kept
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kept.places.map { Place(place: $0, kept: kept) }, forKey: .places)
        try container.encode(kept.lostExits, forKey: .lostExits)
        try container.encode(kept.kernelLostExits, forKey: .kernelLostExits)
    }
}
