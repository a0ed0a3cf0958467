@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// Folded stacks, and the form of pprof, read back by its published format.
final class ExitProfileTests: XCTestCase {
    private static func place(
        _ exit: ExitPlaces.Exit, _ address: UInt64?, _ subject: ExitPlaces.Subject?, _ exits: UInt64, _ time: UInt64,
        function: String? = nil, vcpu: Int = 0
    ) -> ExitPlaces.Place {
        var place = ExitPlaces.Place(
            vcpu: vcpu, exit: exit, address: address, subject: subject, exits: exits, time: time, histogram: [exits])
        place.function = function.map { ExitPlaces.Function(name: $0, offset: 1) }
        return place
    }

    /// KVM's times are nanoseconds, of two cycles each.
    private static let places = ExitPlaces(
        places: [
            place(.minivmm(.portOut), 0x7c00, .port(0x80), 3, 300),
            place(.minivmm(.portOut), 0x7c00, .port(0x80), 4, 400, vcpu: 1),
            place(.minivmm(.portOut), 0x7c02, .port(0x3f8), 5, 500, function: "io;out\n"),
            place(.kvm(code: 0x72, reason: .cpuid), .max, .cpuid(leaf: 1, subleaf: 0), 200, 1000, function: "native"),
            place(.kvm(code: 0x60, reason: .externalInterrupt), nil, nil, 1, 10),
        ], kernelLostExits: 0, isSVM: true, cyclesPerNanosecond: 2)

    private func profile(_ weight: ExitProfile.Weight) -> ExitProfile {
        ExitProfile(Self.places, weight: weight) {
            $0.address.map { $0 >> 63 == 1 ? "kernel" : "guest.bin" } ?? "unknown"
        }
    }

    func testFoldedStacks() {
        XCTAssertEqual(
            String(decoding: profile(.counts).folded, as: UTF8.self),
            """
            guest.bin;0x7c00;io_out, port 0x80 (POST code) 7
            guest.bin;io:out?;io_out, port 0x3f8 (ttyS0) 5
            kernel;native;kvm CPUID, leaf 0x1 (version, features) 200
            unknown;unknown;kvm ext. interrupt 1

            """)
        let cycles = String(decoding: profile(.cycles).folded, as: UTF8.self).split(separator: "\n")
            .compactMap { $0.split(separator: " ").last }
        XCTAssertEqual(cycles, ["700", "500", "2000", "20"])
    }

    func testPprof() throws {
        for (weight, defaultType) in [(ExitProfile.Weight.counts, "exits"), (.cycles, "cycles")] {
            let message = try Message(try Self.unpack(profile(weight).pprof(duration: 12_345)))
            let strings = message.texts(6)
            XCTAssertEqual(strings.first, "")
            func string(_ number: UInt64?) throws -> String { strings[Int(try XCTUnwrap(number))] }
            XCTAssertEqual(
                try message.messages(1).map { [try string($0.numbers(1).first), try string($0.numbers(2).first)] },
                [["exits", "count"], ["cycles", "count"]])
            XCTAssertEqual(message.numbers(10), [12_345])
            XCTAssertEqual(try string(message.numbers(14).first), defaultType)
            let functions = try Dictionary(
                uniqueKeysWithValues: message.messages(5).map {
                    (try XCTUnwrap($0.numbers(1).first), try string($0.numbers(2).first))
                })
            let locations = try Dictionary(
                uniqueKeysWithValues: message.messages(4).map { location in
                    let line = try XCTUnwrap(try location.messages(4).first)
                    return (
                        try XCTUnwrap(location.numbers(1).first),
                        try XCTUnwrap(functions[try XCTUnwrap(line.numbers(1).first)])
                    )
                })
            XCTAssertFalse(locations.keys.contains(0))
            let samples = try message.messages(2).map { sample in
                (try sample.packed(1).map { try XCTUnwrap(locations[$0]) }, try sample.packed(2))
            }
            XCTAssertEqual(
                samples.map(\.0),
                [
                    ["io_out, port 0x80 (POST code)", "0x7c00", "guest.bin"],
                    ["io_out, port 0x3f8 (ttyS0)", "io;out\n", "guest.bin"],
                    ["kvm CPUID, leaf 0x1 (version, features)", "native", "kernel"],
                    ["kvm ext. interrupt", "unknown", "unknown"],
                ])
            XCTAssertEqual(samples.map(\.1), [[7, 700], [5, 500], [200, 2000], [1, 20]])
        }
    }

    func testGzip() throws {
        XCTAssertEqual(Gzip.checksum(Array("123456789".utf8)), 0xcbf4_3926)
        for count in [0, 1, 0xffff, 0x10000, 200_000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            XCTAssertEqual(try Self.unpack(Gzip.stored(bytes)), bytes)
        }
        guard access("/usr/bin/gzip", X_OK) == 0 else { throw XCTSkip("there is no /usr/bin/gzip here") }
        let path = try makeFolder().file("a.gz", Gzip.stored([UInt8](repeating: 5, count: 70_000)))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/gzip")
        process.arguments = ["-t", path]
        try process.run()
        process.waitUntilExit()
        XCTAssertEqual(process.terminationStatus, 0)
    }

    // MARK: Reading back

    private struct NotReadable: Error {}

    /// What stored blocks hold. Source: RFC 1951 and 1952.
    private static func unpack(_ file: [UInt8]) throws -> [UInt8] {
        guard file.count >= 23, Array(file[0..<4]) == [0x1f, 0x8b, 8, 0] else { throw NotReadable() }
        func number(_ start: Int, _ count: Int) -> UInt32 {
            (0..<count).reduce(0) { $0 | UInt32(file[start + $1]) << (8 * UInt32($1)) }
        }
        var (bytes, position, isLast): ([UInt8], Int, Bool) = ([], 10, false)
        while !isLast {
            isLast = file[position] == 1
            let length = number(position + 1, 2)
            guard length ^ number(position + 3, 2) == 0xffff else { throw NotReadable() }
            bytes += file[(position + 5)..<(position + 5 + Int(length))]
            position += 5 + Int(length)
        }
        guard position + 8 == file.count, number(position, 4) == Gzip.checksum(bytes),
            number(position + 4, 4) == UInt32(bytes.count)
        else { throw NotReadable() }
        return bytes
    }

    /// A message of protocol buffers: numbers and bytes by field.
    private struct Message {
        private var varints: [UInt64: [UInt64]] = [:]
        private var lengths: [UInt64: [[UInt8]]] = [:]

        init(_ bytes: [UInt8]) throws {
            var rest = bytes[...]
            while !rest.isEmpty {
                let tag = try Self.varint(&rest)
                switch tag & 7 {
                case 0: varints[tag >> 3, default: []].append(try Self.varint(&rest))
                case 2:
                    let count = Int(try Self.varint(&rest))
                    guard count <= rest.count else { throw NotReadable() }
                    lengths[tag >> 3, default: []].append(Array(rest.prefix(count)))
                    rest = rest.dropFirst(count)
                default: throw NotReadable()
                }
            }
        }

        private static func varint(_ bytes: inout ArraySlice<UInt8>) throws -> UInt64 {
            var value: UInt64 = 0
            for shift: UInt64 in stride(from: 0, to: 70, by: 7) {
                guard let byte = bytes.popFirst() else { throw NotReadable() }
                value |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return value }
            }
            throw NotReadable()
        }

        func numbers(_ field: UInt64) -> [UInt64] { varints[field] ?? [] }
        func texts(_ field: UInt64) -> [String] { (lengths[field] ?? []).map { String(decoding: $0, as: UTF8.self) } }
        func messages(_ field: UInt64) throws -> [Message] { try (lengths[field] ?? []).map(Message.init) }
        func packed(_ field: UInt64) throws -> [UInt64] {
            var rest = (lengths[field] ?? []).flatMap { $0 }[...]
            var values: [UInt64] = []
            while !rest.isEmpty { values.append(try Self.varint(&rest)) }
            return values
        }
    }
}
