@testable import Counters
@testable import Host
@testable import KVM
@testable import Report
@testable import TestSupport
import XCTest

/// That what comes from outside stays text. That a text cannot be put in without being escaped, the compiler sees to.
final class MarkupTests: XCTestCase {
    /// What would be a tag, leave an attribute, or be no HTML at all.
    private static let hostile = "</title></script><script>alert(1)</script>\" onclick='x' &lt; \u{0}\u{1b}[31m\u{85}"

    func testTextsAndNumbersAreEscapedAndLiteralsAreNot() {
        let text = "<b a=\"1\" b='2'>&\u{1}\t\n\u{9f}é"
        let escaped = "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;\u{fffd}\t\n\u{fffd}é"
        XCTAssertEqual(Markup(text).text, escaped)
        XCTAssertEqual(("<i title=\"\(text)\">\(text)</i>" as Markup).text, "<i title=\"\(escaped)\">\(escaped)</i>")
        let piece: Markup = "<i>\(text)</i>"
        XCTAssertEqual(("<p>\(piece)\(7 as UInt64)\(number: 2.5)</p>" as Markup).text, "<p><i>\(escaped)</i>72.5</p>")
        XCTAssertEqual([piece, "<br>"].joined(separator: " ").text, "<i>\(escaped)</i> <br>")
    }

    func testJSONCannotEndItsElement() throws {
        let json = try Markup(json: ["a": "</script><!-- & \u{2028}\u{7f}é\"\\"]).text
        XCTAssertEqual(
            json,
            #"{"a":"\u003c/script\u003e\u003c!-- \u0026 \u2028\u007fé\"\\"}"#)
        XCTAssertEqual(try JSONValue(json)["a"]?.string, "</script><!-- & \u{2028}\u{7f}é\"\\")
    }

    func testNumbersInAttributes() {
        for (value, text) in [(0.0, "0"), (100, "100"), (2.5, "2.5"), (1.0 / 3, "0.333"), (12.3456, "12.346")] {
            XCTAssertEqual(Markup.number(value), text)
        }
    }

    /// Every text of a page that comes from outside: of the command line, the host, the guest and KVM.
    func testHostileNamesStayText() {
        let hostile = Self.hostile
        let context = RunContext(
            command: ["minivmm", hostile], startedAt: 0, guest: hostile,
            machine: MachineDescription(memorySize: 1 << 20, vcpuCount: 2),
            host: HostDescription(
                processor: hostile, kernelRelease: hostile, modules: [hostile], hasInvariantTSC: true))
        var outcome = ReportExample.outcome
        outcome.kernelStatistics = [.init(identifier: hostile, statistics: [.example(hostile, 5)])]
        outcome.narrowScopeReason = hostile
        let page = HTMLReport(
            outcome, leaves: .f22, context: context, remedies: AdviceRemedies { _ in hostile }
        ).text
        let plain = HTMLReport(ReportExample.outcome, leaves: .f22, context: ReportExample.context).text
        func count(_ text: String, _ part: String) -> Int { text.ranges(of: part).count }
        for part in ["<script", "</script", "</title", " onclick='", "<!--"] {
            XCTAssertEqual(count(page, part), count(plain, part), part)
        }
        XCTAssertFalse(page.contains("alert(1)</script>"))
        XCTAssertTrue(page.contains("<h1>&lt;/title&gt;&lt;/script&gt;&lt;script&gt;alert(1)"))
        for scalar in page.unicodeScalars where scalar.properties.generalCategory == .control {
            XCTAssertEqual(scalar, "\n")
        }
    }
}

extension KernelStatistic {
    fileprivate static func example(_ name: String, _ value: UInt64) -> KernelStatistic {
        KernelStatistic(name: name, kind: .cumulative, unit: .none, exponent: 0, base: .ten, values: [value])
    }
}
