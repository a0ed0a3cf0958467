@testable import Report
import XCTest

/// Stacks as frames: where each stands, and how wide it is.
final class FlameGraphTests: XCTestCase {
    private func frames(_ graph: FlameGraph) -> [String] {
        graph.markup.text.split(separator: "\n").filter { $0.hasPrefix("<div class=\"frame") }.map(String.init)
    }

    private func frame(_ colorClass: String, _ left: String, _ width: String, _ top: String, _ title: String) -> String
    {
        let name = title.prefix { $0 != ":" }
        return "<div class=\"frame \(colorClass)\" style=\"left:\(left)%;width:\(width)%;top:\(top)rem\" "
            + "title=\"\(title)\"><span>\(name)</span></div>"
    }

    func testFramesAreAsWideAsTheirWeight() {
        let graph = FlameGraph([
            .init(frames: ["a", "f", "io_in"], weight: 1, colorClass: "k0"),
            .init(frames: ["a", "g", "hlt"], weight: 4, colorClass: "k1"),
            .init(frames: ["a", "f", "hlt"], weight: 2, colorClass: "k1"),
            .init(frames: ["b", "f"], weight: 1, colorClass: "k2"),
            .init(frames: ["b", "nothing"], weight: 0, colorClass: "k2"),
        ])
        XCTAssertEqual(
            frames(graph),
            [
                frame("inner", "0", "100", "0", "all: 8 exits, 100%"),
                frame("inner", "0", "87.5", "1.5", "a: 7 exits, 87.5%"),
                frame("inner", "0", "50", "3", "g: 4 exits, 50.0%"),
                frame("k1", "0", "50", "4.5", "hlt: 4 exits, 50.0%"),
                frame("inner", "50", "37.5", "3", "f: 3 exits, 37.5%"),
                frame("k1", "50", "25", "4.5", "hlt: 2 exits, 25.0%"),
                frame("k0", "75", "12.5", "4.5", "io_in: 1 exits, 12.5%"),
                frame("inner", "87.5", "12.5", "1.5", "b: 1 exits, 12.5%"),
                frame("k2", "87.5", "12.5", "3", "f: 1 exits, 12.5%"),
            ])
        XCTAssertTrue(graph.markup.text.contains("style=\"height:6rem\""))
    }

    func testWhatIsTooNarrowIsNotDrawn() {
        let graph = FlameGraph([
            .init(frames: ["a"], weight: 1999, colorClass: "k0"), .init(frames: ["b"], weight: 1, colorClass: "k0"),
            .init(frames: ["c"], weight: 2000, colorClass: "k0"),
        ])
        XCTAssertEqual(frames(graph).count, 3)
        XCTAssertFalse(graph.markup.text.contains("<span>b</span>"))
        XCTAssertEqual(
            frames(
                FlameGraph([
                    .init(frames: ["a"], weight: 1999, colorClass: "k0"),
                    .init(frames: ["b"], weight: 1, colorClass: "k0"),
                ])
            ).count,
            3, "a 2000th is drawn")
    }

    func testNamesAreEscapedAndNothingIsNothing() {
        let text = FlameGraph([.init(frames: ["<b>\"&"], weight: 1, colorClass: "k0")]).markup.text
        XCTAssertTrue(text.contains("title=\"&lt;b&gt;&quot;&amp;: 1 exits, 100%\"><span>&lt;b&gt;&quot;&amp;</span>"))
        XCTAssertEqual(frames(FlameGraph([])), [])
    }
}
