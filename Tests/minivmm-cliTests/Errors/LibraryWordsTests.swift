import Foundation
@testable import TestSupport
import XCTest

/// The library speaks of what happened, never of the command's options: what to do about it is for
/// the command to say, which alone knows what its options are called.
final class LibraryWordsTests: XCTestCase {
    func testNoStringOfTheLibraryNamesAnOption() throws {
        let sources = RepositoryFile.url("Sources")
        let files = try XCTUnwrap(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var read = 0
        for case let file as URL in files where file.pathExtension == "swift" && !file.path.contains("/minivmm-cli/") {
            read += 1
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                // Most lines have no string with a hyphen or a backquote in it, and a search takes its time.
                let bytes = line.utf8
                guard bytes.contains(0x22), bytes.contains(0x2d) || bytes.contains(0x60) else { continue }
                let code = line.drop { $0 == " " }
                guard !code.hasPrefix("//"), Self.namesAnOption(code) else { continue }
                XCTFail("\(file.lastPathComponent): \(code)")
            }
        }
        XCTAssertGreaterThan(read, 100)
    }

    func testWhatNamesAnOption() {
        XCTAssertTrue(Self.namesAnOption(#"return "Raise --timeout.""#))
        XCTAssertTrue(Self.namesAnOption(#"return "See `minivmm doctor`.""#))
        XCTAssertFalse(Self.namesAnOption(#"return "Two -- dashes""#))
        XCTAssertFalse(Self.namesAnOption("count -= 1"))
    }

    private static func namesAnOption(_ code: Substring) -> Bool {
        code.firstMatch(of: #/"[^"]*(--[a-z]|`minivmm )[^"]*"/#) != nil
    }

    private static func namesAnOption(_ code: String) -> Bool { namesAnOption(code[...]) }
}
