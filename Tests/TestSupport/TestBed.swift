import Foundation
import XCTest

/// The bed that tests run on.
enum TestBed {
    /// Skips a test of what is the same on every bed, such as how command lines are read, where it would take long: where
    /// the processor is emulated. `MINIVMM_BED` says so.
    static func skipWhereEmulated() throws {
        try XCTSkipIf(
            ProcessInfo.processInfo.environment["MINIVMM_BED"] == "box" && !TestExtent.isExhaustive,
            "this is the same on every bed, and takes long on one that is emulated")
    }
}
