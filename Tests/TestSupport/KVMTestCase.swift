import XCTest

/// A test that needs a usable KVM, and is skipped without one (``TestKVM/shared()``).
class KVMTestCase: XCTestCase {
    override func setUpWithError() throws {
        _ = try TestKVM.shared()
    }
}
