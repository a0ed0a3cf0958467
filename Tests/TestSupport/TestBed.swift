import Foundation
import XCTest

/// The bed that tests run on.
enum TestBed {
    /// Whether the processor is emulated, and every exit with it: in the box.
    static let isEmulated = ProcessInfo.processInfo.environment["MINIVMM_BED"] == "box"

    /// Skips a test of what is the same on every bed, such as how command lines are read, where it would take long: where
    /// the processor is emulated. `MINIVMM_BED` says so.
    static func skipWhereEmulated() throws {
        try XCTSkipIf(
            isEmulated && !TestExtent.isExhaustive,
            "this is the same on every bed, and takes long on one that is emulated")
    }
}
