import Foundation
@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// What the documentation, the dashboard and the rules call the metrics.
final class MetricsDocumentationTests: XCTestCase {
    /// The names of all metrics and of their numbers.
    private var names: (metrics: Set<String>, numbers: Set<String>) {
        let table = ExitCounterTable.inMemory(vcpuCount: 1)
        table.counters(of: 0).begin(.portOut)
        let sample = MetricsSample(
            elapsed: .zero, isRunning: true, vcpus: [CounterSnapshot(table, vcpu: 0)],
            times: { ServiceTimeHistogram($0, of: [table.counters(of: $1)]) }, kernelSettled: .example([]), tscKHz: nil)
        let watch = MetricsSample(elapsed: .zero, isRunning: true, watched: .example([]), lostExits: 0)
        let text = [sample, watch].map { MetricsText.text($0, guest: "", format: .prometheus) }.joined()
        return (
            Set(text.matches(of: #/# TYPE (\w+)/#).map { String($0.1) }),
            Set(text.matches(of: #/(?m)^(minivmm_\w+)/#).map { String($0.1) })
        )
    }

    private func names(in path: String) throws -> Set<String> {
        let text = String(decoding: try RepositoryFile.bytes(path), as: UTF8.self)
        return Set(text.matches(of: #/minivmm_[a-z_]+/#).map { String($0.0) })
    }

    func testTheNamesAreThoseThatThereAre() throws {
        let (metrics, numbers) = names
        XCTAssertEqual(try names(in: "docs/metrics.md"), metrics)
        XCTAssertEqual(
            try names(in: "Examples/monitoring/minivmm-dashboard.json").subtracting(numbers), [])
        // A name in a recording rule is one of ours with what is done to it.
        XCTAssertEqual(
            try names(in: "Examples/monitoring/minivmm-rules.yml").subtracting(numbers), ["minivmm_exits"])
    }

    func testTheDashboardIsJSON() throws {
        let dashboard = try JSONValue(RepositoryFile.bytes("Examples/monitoring/minivmm-dashboard.json"))
        XCTAssertEqual(dashboard["title"]?.string, "MiniVMM")
        XCTAssertEqual(dashboard["panels"]?.elements.count, 10)
    }
}
