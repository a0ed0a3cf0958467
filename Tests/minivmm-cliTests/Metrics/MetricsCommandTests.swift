import Glibc
@testable import Host
@testable import TestSupport
import XCTest

@testable import minivmm_cli

/// `--metrics`, from the command line to what the counters are read by.
final class MetricsCommandTests: KVMTestCase {
    override func setUpWithError() throws {
        try super.setUpWithError()
        try TestBed.skipWhereEmulated()
    }

    func testTargets() {
        XCTAssertEqual(MetricsTarget("127.0.0.1:9100"), .socket(.port(9100)))
        XCTAssertEqual(MetricsTarget("unix:/run/m"), .socket(.path("/run/m")))
        XCTAssertEqual(MetricsTarget("a:1/m.prom"), .file("a:1/m.prom"))
        for wrong in ["", "unix:", "9100", ":9100", "0.0.0.0:9100", "127.0.0.1:", "127.0.0.1:x", "m.txt", "m.prom/"] {
            XCTAssertNil(MetricsTarget(wrong), wrong)
        }
    }

    func testWrongArguments() throws {
        let folder = try makeFolder()
        let file = folder.path("m.prom")
        for arguments in [
            ["--metrics", "0.0.0.0:1"], ["--metrics", "127.0.0.1:0", "--metrics-interval", "1"],
            ["--metrics", file, "--metrics-interval", "0"], ["--metrics-label", "a=b"],
            ["--metrics", file, "--metrics-label", "kind=b"], ["--metrics", file, "--metrics-label", "a"],
            ["--metrics", file, "--metrics-label", "a=b", "--metrics-label", "a=c"],
            ["--metrics", file, "--repeat", "2"], ["--metrics", file, "--interval-file", file, "--interval", "1"],
        ] {
            let run = try CommandLineRun(["run", "--guest", "hello"] + arguments)
            run.assertStatus(64, "\(arguments)")
        }
        XCTAssertEqual(try folder.names(), [])
    }

    func testWhatCannotBeReplaced() throws {
        let folder = try makeFolder()
        XCTAssertEqual(symlink("/dev/full", folder.path("m.prom")), 0)
        let run = try CommandLineRun(["run", "--guest", "hello", "--metrics", folder.path("m.prom")])
        run.assertStatus(74)
        XCTAssertEqual(
            run.errors,
            """
            minivmm: \(folder.path("m.prom")) cannot be replaced as a whole, as whoever reads metrics needs it.
            Name a file with --metrics in a directory of your own.

            """)
    }

    func testAPortThatIsTaken() throws {
        let listener = try LocalListener(at: .port(0))
        let run = try CommandLineRun(["run", "--guest", "hello", "--metrics", listener.place])
        run.assertStatus(64)
        XCTAssertTrue(run.errors.contains("Choose another port with --metrics, or 0 for any"), run.errors)
    }

    /// A guest that has all its exits behind it is asked what they were, and says the same in the end.
    func testNumbersOfARun() throws {
        let folder = try makeFolder()
        for target in ["127.0.0.1:0", "unix:" + folder.path("socket")] {
            let guest = try MonitoredGuest(folder, ["--metrics", target, "--metrics-label", "team=a"])
            for accept in [nil, "application/openmetrics-text"] {
                let answer = try XCTUnwrap(guest.answerWithAllExits(accept: accept))
                XCTAssertEqual(answer.status, 200)
                let labels = #"kind="io_out",sdm="30",vcpu="0",where="minivmm""#
                XCTAssertTrue(
                    answer.body.contains("minivmm_exits_total{\(labels),team=\"a\"} \(MonitoredGuest.exits)\n"),
                    answer.body)
                XCTAssertEqual(answer.body.hasSuffix("\n# EOF\n"), accept != nil)
            }
            let kinds = try guest.stop()
            XCTAssertEqual(kinds, ["io_out": Int64(MonitoredGuest.exits)])
        }
        // The socket is gone.
        XCTAssertEqual(try Set(folder.names()), ["guest.bin", "r.json"])
    }

    /// While exits come, those that KVM settles included where they can be counted, no counter is ever below what it was.
    func testCountersOnlyRise() throws {
        let folder = try makeFolder()
        // out 0x80, al; jmp to the out
        let guest = try MonitoredGuest(
            folder, ["--metrics", "127.0.0.1:0", "--exits", "auto", "--cpus", "2"], code: [0xe6, 0x80, 0xeb, 0xfc])
        let number = #/(?m)^(minivmm_\w+_(?:total|bucket|sum|count){[^}]*}) (\S+)$/#
        var last: [Substring: Double] = [:]
        for _ in 0..<50 {
            let answer = try XCTUnwrap(HTTPClient.get("/metrics", from: guest.place()))
            let now = Dictionary(answer.body.matches(of: number).map { ($0.1, Double($0.2) ?? -1) }) { $0 + $1 }
            for (name, value) in last { XCTAssertGreaterThanOrEqual(now[name] ?? -1, value, "\(name)") }
            last = now
        }
        XCTAssertGreaterThan(last.count, 20)
        // In the end each is at least what it was then.
        let exits = try guest.stop()
        let told = last.filter { $0.key.hasPrefix("minivmm_exits_total{kind=\"io_out\"") }.values.reduce(0, +)
        XCTAssertGreaterThanOrEqual(exits["io_out"] ?? 0, Int64(told))
    }

    /// The state after the run equals the report, and nothing is left beside it.
    func testAFile() throws {
        let folder = try makeFolder()
        let file = try folder.file("m.prom", Array("old".utf8))
        let run = try CommandLineRun([
            "run", "--guest", "counters", "--metrics", file, "--stats", "json", "--stats-file", folder.path("r.json"),
        ])
        run.assertStatus(0)
        let text = String(decoding: try folder.bytes("m.prom"), as: UTF8.self)
        let report = try JSONValue(folder.bytes("r.json"))
        XCTAssertEqual(MonitoredGuest.exits(in: text), MonitoredGuest.exits(of: report))
        XCTAssertFalse(MonitoredGuest.exits(of: report).isEmpty)
        XCTAssertTrue(text.contains("\nminivmm_running 0\n"), text)
        XCTAssertFalse(text.contains("# EOF"))
        XCTAssertEqual(try Set(folder.names()), ["m.prom", "r.json"])
    }

    /// While the guest runs and is confined, the file is replaced as a whole: whoever has the old one keeps it.
    func testAFileIsReplacedAsAWhole() throws {
        let folder = try makeFolder()
        let guest = try MonitoredGuest(
            folder, ["--metrics", folder.path("m.prom"), "--metrics-interval", "0.01"])
        func open() -> Int32 {
            var descriptor: Int32 = -1
            while descriptor < 0 {
                descriptor = Glibc.open(folder.path("m.prom"), O_RDONLY)
                if descriptor < 0 { sched_yield() }
            }
            return descriptor
        }
        func inode(_ descriptor: Int32) -> UInt {
            var information = stat()
            XCTAssertEqual(fstat(descriptor, &information), 0)
            return information.st_ino
        }
        for _ in 0..<5 {
            let old = open()
            defer { close(old) }
            var new = open()
            while inode(new) == inode(old) {
                close(new)
                sched_yield()
                new = open()
            }
            for descriptor in [old, new] {
                var bytes = [UInt8](repeating: 0, count: 1 << 16)
                let count = read(descriptor, &bytes, bytes.count)
                let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
                XCTAssertTrue(text.hasPrefix("# HELP minivmm_info "), text)
                XCTAssertTrue(text.contains("\nminivmm_internal_seconds_total{"), text)
                XCTAssertTrue(text.hasSuffix("\n"), text)
            }
            close(new)
        }
        _ = try guest.stop()
        XCTAssertEqual(try Set(folder.names()), ["m.prom", "guest.bin", "r.json"])
    }
}

/// A guest that makes so many exits and then runs for ever, in a process of its own.
final class MonitoredGuest {
    static let exits = 1000
    static let code: [UInt8] = [
        0xb9, 0xe8, 0x03,  // mov cx, 1000
        0xe6, 0x80,  // out 0x80, al
        0xe2, 0xfc,  // loop to the out
        0xeb, 0xfe,  // jmp to itself
    ]

    private let process: RunningProcess
    private let report: String
    private let folder: TemporaryFolder

    init(_ folder: TemporaryFolder, _ arguments: [String], code: [UInt8] = MonitoredGuest.code) throws {
        self.folder = folder
        report = folder.path("r.json")
        let image = try folder.file("guest.bin", code)
        process = try RunningProcess(
            [MiniVMMExecutable.path(), "run", image, "--stats", "json", "--stats-file", report] + arguments)
    }

    private var knownPlace: String?

    /// Where it is asked.
    func place() throws -> String {
        if let knownPlace { return knownPlace }
        let url = try process.waitForErrorLine("minivmm: metrics are at ")
        let place = url.hasPrefix("unix:") ? String(url.dropFirst(5)) : String(url.dropFirst(7).dropLast(8))
        knownPlace = place
        return place
    }

    /// The first answer that tells of all exits.
    func answerWithAllExits(accept: String? = nil) throws -> HTTPClient.Answer? {
        while true {
            let answer = try HTTPClient.get("/metrics", from: place(), accept: accept)
            guard let answer, answer.status == 200 else { return answer }
            if Self.exits(in: answer.body)["io_out"] == Int64(Self.exits) { return answer }
        }
    }

    /// Ends it.
    ///
    /// - Returns: The exits by kind, as its report has them.
    func stop() throws -> [String: Int64] {
        try process.send(SIGTERM)
        XCTAssertEqual(try process.finish(), .exited(143), String(decoding: process.errors, as: UTF8.self))
        return Self.exits(of: try JSONValue(folder.bytes("r.json")))
    }

    /// The exits by kind, as metrics have them: those of one vCPU that MiniVMM settled.
    static func exits(in text: String) -> [String: Int64] {
        let pattern = #/minivmm_exits_total{kind="([^"]*)",[^}]*where="minivmm"[^}]*} (\d+)/#
        return Dictionary(text.matches(of: pattern).map { (String($0.1), Int64($0.2) ?? -1) }) { $0 + $1 }
    }

    static func exits(of report: JSONValue) -> [String: Int64] {
        let kinds = report["kinds"]?.elements ?? []
        return Dictionary(kinds.map { ($0["kind"]?.string ?? "", $0["exits"]?.integer ?? -1) }) { $0 + $1 }
    }
}
