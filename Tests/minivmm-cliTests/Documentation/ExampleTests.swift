@testable import TestSupport
import XCTest

/// The code in the documentation is that of the examples, which are built and run (Scripts/check-examples).
final class ExampleTests: XCTestCase {
    private func text(_ path: String) throws -> String {
        String(decoding: try RepositoryFile.bytes(path), as: UTF8.self)
    }

    /// The code that follows the comment `<!-- example: NAME -->` in an article.
    private func example(_ name: String, in article: String) throws -> String {
        let parts = try text(article).components(separatedBy: "<!-- example: \(name) -->\n```swift\n")
        XCTAssertEqual(parts.count, 2, name)
        return try XCTUnwrap(parts.last?.components(separatedBy: "```").first)
    }

    func testRunLoop() throws {
        XCTAssertEqual(
            try example("RunLoop", in: "Sources/KVM/KVM.docc/KVM.md"),
            try text("Examples/bare-kvm/Sources/bare-kvm/main.swift"))
    }

    func testDevice() throws {
        let article = "Sources/MiniVMM/MiniVMM.docc/AddingADevice.md"
        XCTAssertEqual(
            try example("Tally", in: article), try text("Examples/tally-device/Sources/tally-device/Tally.swift"))
        XCTAssertTrue(
            try text("Examples/tally-device/Sources/tally-device/main.swift").contains(
                try example("TallyMachine", in: article)))
    }
}
