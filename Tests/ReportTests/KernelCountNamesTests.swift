@testable import Boot
@testable import KVM
@testable import Report
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// What KVM's names for its own statistics mean: one table, for reports and the documentation.
final class KernelCountNamesTests: XCTestCase {
    func testDocumentationHasTheSameExplanations() throws {
        let page = try String(decoding: RepositoryFile.bytes("docs/vm-exit-counters.md"), as: UTF8.self)
        let section = try XCTUnwrap(page.components(separatedBy: "\n## KVM's own counts\n").last)
            .components(separatedBy: "\n## ")[0]
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| `") }
        XCTAssertEqual(rows.map(String.init), KernelCountNames.all.map { "| `\($0.name)` | \($0.meaning) |" })
        XCTAssertEqual(Set(KernelCountNames.all.map(\.name)).count, KernelCountNames.all.count)
        for (name, meaning) in KernelCountNames.all {
            XCTAssertEqual(KernelCountNames.meaning(of: name), meaning)
            XCTAssertFalse(meaning.hasSuffix("."), name)
        }
    }

    /// All counts that this KVM has, those that are 0 included.
    func testNamesOfThisKVM() throws {
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: [0xf4]))
        guard let statistics = try machine.runners[0].vcpu.kernelStatistics() else { throw XCTSkip("no statistics") }
        let counts = statistics.statistics.filter { $0.value != nil }.map(\.name)
        XCTAssertGreaterThan(counts.count, 20)
        XCTAssertEqual(counts.filter { KernelCountNames.meaning(of: $0) == nil }, [], "histograms have no place there")
    }
}
