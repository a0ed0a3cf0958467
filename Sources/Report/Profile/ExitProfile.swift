public import Counters
import Host

/// Where exits come from, as stacks of program, function, and what the exits were: for flame graphs.
public struct ExitProfile: Sendable {
    /// What the width of a frame stands for.
    public enum Weight: String, CaseIterable, Sendable {
        /// How many exits there were.
        case counts
        /// What was spent on them, in cycles of the time-stamp counter.
        case cycles
    }

    /// Exits with a stack in common.
    package struct Stack: Hashable, Sendable {
        /// The frames, the outermost first: program, function, exit.
        package let frames: [String]
        package let exits: UInt64
        package let cycles: UInt64
    }

    /// The stacks, in the order of their names.
    package let stacks: [Stack]
    private let weight: Weight

    /// The profile of a run.
    ///
    /// - Parameters:
    ///   - places: Where its exits came from.
    ///   - weight: What the frames' widths stand for.
    ///   - program: The name of the program that a place is in.
    public init(_ places: ExitPlaces, weight: Weight = .counts, program: (ExitPlaces.Place) -> String) {
        self.weight = weight
        var sums: [[String]: (exits: UInt64, cycles: UInt64)] = [:]
        for place in places.places {
            let frames = Self.frames(of: place, places, program: program)
            var sum = sums[frames] ?? (0, 0)
            sum.exits &+= place.exits
            sum.cycles &+= places.cycles(place.time, of: place.exit)
            sums[frames] = sum
        }
        stacks = sums.map { Stack(frames: $0.key, exits: $0.value.exits, cycles: $0.value.cycles) }
            .sorted { $0.frames.lexicographicallyPrecedes($1.frames) }
    }

    /// The frames of a place: program, function, exit.
    static func frames(
        of place: ExitPlaces.Place, _ places: ExitPlaces, program: (ExitPlaces.Place) -> String
    ) -> [String] {
        let function = place.function?.name ?? place.address.map(Hex.number) ?? "unknown"
        let subject = place.subject.map { ", " + places.text($0) } ?? ""
        return [program(place), function, places.name(of: place.exit) + subject]
    }

    private func weight(of stack: Stack) -> UInt64 { weight == .counts ? stack.exits : stack.cycles }

    /// Folded stacks: a line each, with the frames divided by semicolons, and the weight.
    ///
    /// Source: Brendan Gregg's FlameGraph, stackcollapse.pl; what flamegraph.pl, inferno and speedscope read.
    public var folded: [UInt8] {
        stacks.flatMap { stack in
            Array((stack.frames.map(Self.frame).joined(separator: ";") + " \(weight(of: stack))\n").utf8)
        }
    }

    /// A frame without what divides frames and lines.
    private static func frame(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar {
                    case ";": ":"
                    case _ where scalar.value < 0x20 || scalar.value == 0x7f: "?"
                    default: scalar
                    }
                }))
    }

    /// The form of pprof: a protocol buffer in gzip. Each sample has both weights.
    ///
    /// Source: google/pprof, proto/profile.proto.
    ///
    /// - Parameter duration: The run's, in nanoseconds.
    public func pprof(duration: UInt64) -> [UInt8] {
        var names = StringTable()
        var profile = ProtocolBuffer()
        for (type, unit) in [("exits", "count"), ("cycles", "count")] {
            var value = ProtocolBuffer()
            value.add(1, names.number(of: type))
            value.add(2, names.number(of: unit))
            profile.add(1, value)
        }
        var locations: [String: UInt64] = [:]
        for stack in stacks {
            // The innermost frame first.
            let ids = stack.frames.reversed().map { frame in
                if let id = locations[frame] { return id }
                let id = UInt64(locations.count + 1)
                locations[frame] = id
                return id
            }
            var sample = ProtocolBuffer()
            sample.add(1, packed: ids)
            sample.add(2, packed: [stack.exits, stack.cycles])
            profile.add(2, sample)
        }
        // A location and a function for each frame, under one number.
        for (frame, id) in locations.sorted(by: { $0.value < $1.value }) {
            var line = ProtocolBuffer()
            line.add(1, id)
            var location = ProtocolBuffer()
            location.add(1, id)
            location.add(4, line)
            profile.add(4, location)
            var function = ProtocolBuffer()
            function.add(1, id)
            function.add(2, names.number(of: frame))
            profile.add(5, function)
        }
        let defaultType = names.number(of: weight == .counts ? "exits" : "cycles")
        for name in names.all { profile.add(6, Array(name.utf8)) }
        profile.add(10, duration)
        profile.add(14, defaultType)
        return Gzip.stored(profile.bytes)
    }

    /// Strings by number, the empty one first, as pprof wants it.
    private struct StringTable {
        private(set) var all = [""]
        private var numbers = ["": UInt64(0)]

        mutating func number(of text: String) -> UInt64 {
            if let number = numbers[text] { return number }
            let number = UInt64(all.count)
            numbers[text] = number
            all.append(text)
            return number
        }
    }
}
