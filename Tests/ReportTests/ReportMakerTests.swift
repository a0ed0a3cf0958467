import Foundation
@testable import Report
@testable import TestSupport
import XCTest

/// How a program names the commit that it was built of.
final class ReportMakerTests: XCTestCase {
    func testVersions() {
        let hash = "0123456789abcdef0123456789abcdef01234567"
        XCTAssertEqual(ReportMaker.commit(in: hash), "0123456789ab")
        for text in ["$Format" + ":%H$", "", String(hash.dropLast()), hash.uppercased()] {
            XCTAssertNil(ReportMaker.commit(in: text), text)
        }
        XCTAssertEqual(ReportMaker.version("1.2.3", commit: "0123456789ab"), "1.2.3+0123456789ab")
        XCTAssertEqual(ReportMaker.version("1.2.3", commit: nil), "1.2.3")
        XCTAssertEqual(ReportMaker.title("1.2.3", commit: "0123456789ab"), "minivmm 1.2.3 (0123456789ab)")
        XCTAssertEqual(ReportMaker.title("1.2.3", commit: nil), "minivmm 1.2.3")
    }

    /// `git archive` writes the commit where the sources look for it.
    func testAnArchiveNamesItsCommit() throws {
        try TestBed.skipWhereEmulated()
        let root = RepositoryFile.url("").path
        let commit = try CommandLineRun(command: ["/bin/sh", "-c", "exec git -C '\(root)' rev-parse HEAD"])
        guard commit.end == .exited(0) else { throw XCTSkip("there is no git here, or no repository of it") }
        let source = try CommandLineRun(
            command: ["/bin/sh", "-c", "git -C '\(root)' archive HEAD Sources/Report/ReportMaker.swift | tar -xO"])
        source.assertStatus(0)
        let hash = commit.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        XCTAssertTrue(source.outputText.contains("archived = \"\(hash)\""), source.outputText)
    }
}
