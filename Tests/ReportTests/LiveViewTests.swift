@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// The full-screen view, from fixed numbers.
final class LiveViewTests: XCTestCase {
    private func sample(_ seconds: Double, out: UInt64, hlt: UInt64, cpuid: UInt64) -> LiveSample {
        LiveSample(
            elapsed: seconds,
            rows: [
                .init(
                    name: "io_out", sdm: 30, settler: .miniVMM, vcpu: 0, exits: out, nanoseconds: Double(out) * 1000),
                .init(name: "io_out", sdm: 30, settler: .miniVMM, vcpu: 1, exits: 10, nanoseconds: 10_000),
                .init(name: "hlt", sdm: 12, settler: .miniVMM, vcpu: 1, exits: hlt, nanoseconds: Double(hlt) * 9000),
                .init(name: "CPUID", sdm: 10, settler: .kvm, vcpu: 0, exits: cpuid, nanoseconds: Double(cpuid) * 500),
            ])
    }

    private func view() -> LiveView {
        var view = LiveView(title: "my \u{1b}guest")
        XCTAssertTrue(view.take(sample(1, out: 100, hlt: 5, cpuid: 40)))
        XCTAssertTrue(view.take(sample(3, out: 300, hlt: 5, cpuid: 60)))
        return view
    }

    func testGoldenScreen() {
        XCTAssertEqual(
            view().screen(width: 80, height: 24),
            [
                "3.0 s  375 exits  110/s  my \\x1bguest", "[k]inds  [v]CPUs  [s]ort: rate  [p]ause  [q]uit", "",
                "exit    SDM  by   exits  exits/s  share    mean    time",
                "io_out   30  VMM    310      100  80.5%  1.00us   310us",
                "CPUID    10  KVM     60       10   7.8%   500ns  30.0us",
                "hlt      12  VMM      5        0  11.7%  9.00us  45.0us",
            ])
    }

    func testKeys() {
        var view = view()
        func names() -> [String] {
            view.screen(width: 80, height: 24).dropFirst(4).map { String($0.prefix { $0 != " " }) }
        }
        for (key, order): (Character, [String]) in [
            ("s", ["io_out", "CPUID", "hlt"]), ("s", ["io_out", "hlt", "CPUID"]), ("s", ["hlt", "io_out", "CPUID"]),
            ("s", ["CPUID", "hlt", "io_out"]), ("s", ["io_out", "CPUID", "hlt"]),
        ] {
            XCTAssertEqual(view.press(key.asciiValue ?? 0), .redraw)
            XCTAssertEqual(names(), order)
        }
        XCTAssertEqual(view.press(UInt8(ascii: "v")), .redraw)
        let lines = view.screen(width: 80, height: 24)
        XCTAssertEqual(lines[3].prefix(4), "vCPU")
        XCTAssertEqual(lines[4].split(separator: " ").prefix(3), ["vCPU", "0", "360"])
        XCTAssertEqual(lines[5].split(separator: " ").prefix(3), ["vCPU", "1", "15"])
        XCTAssertEqual(view.press(UInt8(ascii: "k")), .redraw)
        XCTAssertNil(view.press(UInt8(ascii: "x")))
        XCTAssertEqual(view.press(UInt8(ascii: "q")), .quit)
        XCTAssertEqual(view.press(0x03), .quit)
    }

    /// What exits are about, and their code, once samples have it.
    func testPlaces() {
        func places(_ exits: UInt64) -> ExitPlaces {
            func place(_ kind: ExitKind, _ subject: ExitPlaces.Subject?, _ address: UInt64, _ exits: UInt64)
                -> ExitPlaces.Place
            {
                ExitPlaces.Place(
                    vcpu: 0, exit: .minivmm(kind), address: address, subject: subject, exits: exits,
                    time: exits * 1000, histogram: [UInt64](repeating: 0, count: ExitPlaces.bucketCount))
            }
            var places = ExitPlaces(places: [
                place(.portOut, .port(0x3f8), 0x1000, exits), place(.portOut, .port(0x3f8), 0x1008, 5),
                place(.portOut, .port(0x80), 0x1004, 10), place(.hlt, nil, 0x2000, 1),
            ])
            places.name { $0.address.map { $0 < 0x2000 } ?? false ? .init(name: "put\u{1b}", offset: 0) : nil }
            return places
        }
        var view = LiveView(title: "g", keepsPlaces: true)
        XCTAssertTrue(view.take(sample(1, out: 100, hlt: 5, cpuid: 40)))
        XCTAssertTrue(view.screen(width: 80, height: 24)[1].contains("  [d]etails  [c]ode  "))
        XCTAssertFalse(view.isDue(at: 1.5))
        XCTAssertEqual(view.press(UInt8(ascii: "d")), .redraw)
        // Not in a second, but at once.
        XCTAssertTrue(view.isDue(at: 1.5))
        XCTAssertTrue(view.take(LiveSample(elapsed: 2, rows: [], places: places(20))))
        // 25 in the two seconds since the start.
        XCTAssertTrue(view.screen(width: 80, height: 24)[4].hasPrefix("   25       13 "))
        XCTAssertTrue(view.take(LiveSample(elapsed: 4, rows: [], places: places(60))))
        XCTAssertEqual(
            view.screen(width: 80, height: 24).dropFirst(3),
            [
                "exits  exits/s  share    mean    time  exit    about",
                "   65       20  85.5%  1.00us  65.0us  io_out  port 0x3f8 (ttyS0)",
                "   10        0  13.2%  1.00us  10.0us  io_out  port 0x80 (POST code)",
                "    1        0   1.3%  1.00us  1.00us  hlt",
            ])
        XCTAssertEqual(view.press(UInt8(ascii: "c")), .redraw)
        XCTAssertEqual(
            view.screen(width: 80, height: 24).dropFirst(3),
            [
                "exits  exits/s  share    mean    time  exit    code",
                "   75       20  98.7%  1.00us  75.0us  io_out  put\\x1b",
                "    1        0   1.3%  1.00us  1.00us  hlt     0x2000",
            ])
        // A watch has none.
        var watch = self.view()
        XCTAssertNil(watch.press(UInt8(ascii: "d")))
        XCTAssertEqual(watch.grouping, .kind)
    }

    func testAPausedViewStays() {
        var view = view()
        XCTAssertEqual(view.press(UInt8(ascii: "p")), .redraw)
        let before = view.screen(width: 80, height: 24)
        XCTAssertTrue(before[1].contains("  PAUSED, [p] goes on"))
        XCTAssertFalse(view.take(sample(9, out: 1000, hlt: 9, cpuid: 99)))
        XCTAssertEqual(view.screen(width: 80, height: 24), before)
        XCTAssertEqual(view.press(UInt8(ascii: " ")), .redraw)
        XCTAssertTrue(view.take(sample(9, out: 1000, hlt: 9, cpuid: 99)))
        XCTAssertFalse(view.take(sample(9.1, out: 1000, hlt: 9, cpuid: 99)), "too young for a rate")
    }

    /// Nothing is wider or higher than the screen, however small it is; a wide one has bars.
    func testScreensOfAllSizes() {
        let view = view()
        for (width, height) in [(200, 50), (80, 24), (40, 5), (1, 1), (0, 0), (-1, -1)] {
            let lines = view.screen(width: width, height: height)
            XCTAssertLessThanOrEqual(lines.count, max(height, 0))
            for line in lines { XCTAssertLessThanOrEqual(line.count, max(width, 0)) }
        }
        let bars = view.screen(width: 200, height: 50).dropFirst(4).map { $0.count { $0 == "#" } }
        XCTAssertEqual(bars, [94, 9, 14])
        XCTAssertEqual(LiveView(title: "t").screen(width: 80, height: 24).count, 4)
    }

    func testIntervals() throws {
        let first = sample(1, out: 100, hlt: 5, cpuid: 40), second = sample(3, out: 300, hlt: 5, cpuid: 60)
        let line = try RunIntervalRecord(from: first, to: second).line()
        XCTAssertEqual(line.count { $0 == UInt8(ascii: "\n") }, 1)
        let record = try JSONValue(line)
        XCTAssertEqual(try JSONSchema(file: "run-interval.schema.json").problems(of: record), [])
        XCTAssertEqual(
            record,
            try JSONValue(
                """
                {"elapsed_ns": 3000000000, "interval_ns": 2000000000, "exits": 220, "kinds": [
                {"kind": "io_out", "settled_by": "minivmm", "exits": 200, "ns": 200000},
                {"kind": "CPUID", "settled_by": "kvm", "exits": 20, "ns": 10000}]}
                """))
        XCTAssertEqual(try JSONValue(RunIntervalRecord(from: nil, to: first).line())["exits"]?.integer, 155)
    }
}
