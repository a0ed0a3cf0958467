import Foundation
@testable import Host
@testable import TestSupport
import XCTest

@testable import minivmm_cli

/// Debian's Prometheus, its promtool and node_exporter read the metrics, where they are installed.
final class PrometheusTests: KVMTestCase {
    override func setUpWithError() throws {
        try super.setUpWithError()
        try TestBed.skipWhereEmulated()
    }

    /// The path of a program of Debian's packages.
    private func program(_ name: String) throws -> String {
        let path = "/usr/bin/" + name
        guard FileManager.default.isExecutableFile(atPath: path) else { throw XCTSkip("\(path) is not installed") }
        return path
    }

    /// A port that nobody listens at.
    private func freePlace() throws -> String { try LocalListener(at: .port(0)).place }

    /// A guest is scraped, and Prometheus's own API gives its numbers back.
    func testPrometheusScrapesAGuest() throws {
        let prometheus = try program("prometheus")
        let folder = try makeFolder()
        let guest = try MonitoredGuest(folder, ["--metrics", "127.0.0.1:0"])
        _ = try guest.answerWithAllExits()
        let configuration = try folder.file(
            "prometheus.yml",
            Array(
                """
                global: {scrape_interval: 1s, scrape_timeout: 1s}
                scrape_configs: [{job_name: minivmm, static_configs: [{targets: ["\(guest.place())"]}]}]
                """.utf8))
        let place = try freePlace()
        let server = try RunningProcess([
            prometheus, "--config.file=\(configuration)", "--storage.tsdb.path=\(folder.path("data"))",
            "--web.listen-address=\(place)",
        ])
        // Not before Prometheus has scraped it once.
        var told: [String: Int64] = [:]
        while told.isEmpty { told = try query("minivmm_exits_total", at: place, by: "kind") }
        let durations = try query("minivmm_exit_duration_seconds_count", at: place, by: "kind")
        let buckets = try query(
            "minivmm_exit_duration_seconds_bucket%7Bkind=%22io_out%22%7D", at: place, by: "le")
        try server.send(SIGTERM)
        _ = try server.finish()
        XCTAssertEqual(try guest.stop(), told)
        XCTAssertEqual(told, ["io_out": Int64(MonitoredGuest.exits)])
        XCTAssertEqual(durations, told)
        XCTAssertEqual(buckets.count, 19)
        XCTAssertEqual(buckets["+Inf"], Int64(MonitoredGuest.exits))
    }

    /// What Prometheus says a metric's values are, by one of its labels.
    private func query(_ text: String, at place: String, by label: String) throws -> [String: Int64] {
        guard let answer = try HTTPClient.get("/api/v1/query?query=\(text)", from: place), answer.status == 200
        else { return [:] }
        let results = try JSONValue(answer.body)["data"]?["result"]?.elements ?? []
        return Dictionary(
            results.map { result in
                (
                    result["metric"]?[label]?.string ?? "",
                    result["value"]?.elements.last?.string.flatMap { Int64($0) } ?? -1
                )
            }
        ) { $0 + $1 }
    }

    func testPromtoolHasNothingToSay() throws {
        let promtool = try program("promtool")
        let folder = try makeFolder()
        let file = folder.path("m.prom")
        for arguments in [[], ["--exits", "all"]] {
            let run = try CommandLineRun(
                ["run", "--guest", "counters", "--stats", "none", "--metrics", file, "--metrics-label", "a=\"\\ b"]
                    + arguments)
            // Where KVM's exits cannot be counted, the run says so.
            guard run.end == .exited(0) else { continue }
            let check = try CommandLineRun(command: [promtool, "check", "metrics"], input: file)
            check.assertStatus(0)
            XCTAssertEqual(check.outputText + check.errors, "")
        }
        let rules = RepositoryFile.url("Examples/monitoring/minivmm-rules.yml").path
        try CommandLineRun(command: [promtool, "check", "rules", rules]).assertStatus(0)
    }

    func testNodeExporterReadsTheFile() throws {
        let exporter = try program("prometheus-node-exporter")
        let folder = try makeFolder()
        let run = try CommandLineRun([
            "run", "--guest", "counters", "--metrics", folder.path("m.prom"), "--stats", "json",
            "--stats-file", folder.path("r.json"),
        ])
        run.assertStatus(0)
        let place = try freePlace()
        let process = try RunningProcess([
            exporter, "--collector.disable-defaults", "--collector.textfile",
            "--collector.textfile.directory=\(folder.path)", "--web.listen-address=\(place)",
        ])
        let answer = try XCTUnwrap(HTTPClient.get("/metrics", from: place))
        try process.send(SIGTERM)
        _ = try process.finish()
        XCTAssertTrue(answer.body.contains("\nnode_textfile_scrape_error 0\n"), answer.body)
        let report = try JSONValue(folder.bytes("r.json"))
        XCTAssertEqual(MonitoredGuest.exits(in: answer.body), MonitoredGuest.exits(of: report))
        XCTAssertFalse(MonitoredGuest.exits(of: report).isEmpty)
    }
}
