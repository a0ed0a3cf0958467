@testable import Counters
import Foundation
@testable import KVM
@testable import MiniVMM
@testable import Tracepoints
import XCTest

/// The KVM that tests run on: one for all of them, so that the self-test of the traps runs once.
enum TestKVM {
    private static let opened = Result { try KVM() }

    /// The open KVM.
    ///
    /// - Throws: `XCTSkip` where there is none; the error itself where MINIVMM_REQUIRE_KVM is 1.
    static func shared() throws -> KVM {
        switch opened {
        case .success(let kvm): return kvm
        case .failure(let error):
            if ProcessInfo.processInfo.environment["MINIVMM_REQUIRE_KVM"] == "1" { throw error }
            throw XCTSkip("no usable KVM: \(error)")
        }
    }

    /// The traps of ring 0 that work on this bed.
    ///
    /// - Throws: ``MissingTrap`` when MINIVMM_REQUIRE_TRAPS names one that the self-test has not found working: what a
    ///   bed is known to have must not go untested because the self-test fails.
    static func workingTraps() throws -> [CPUIDTrap] {
        let support = try shared().trapSupport()
        let working: [CPUIDTrap] =
            (support.debug ? [.debug] : []) + (support.patch ? [.patch] : []) + (support.step ? [.step] : [])
        let required = ProcessInfo.processInfo.environment["MINIVMM_REQUIRE_TRAPS"] ?? ""
        for name in required.split(separator: ",") where !working.contains(where: { $0.rawValue == name }) {
            throw MissingTrap(name: String(name))
        }
        return working
    }

    /// A trap that the bed has, and the self-test has not found.
    struct MissingTrap: Error {
        let name: String
    }

    /// Skips a test of a trap that does not work on this bed.
    static func require(_ trap: CPUIDTrap) throws {
        guard try workingTraps().contains(trap) else {
            throw XCTSkip("the CPUID trap `\(trap.rawValue)` does not work on this bed")
        }
    }

    /// Skips a test of every exit where this way to KVM's tracepoints does not work.
    ///
    /// - Throws: The reason itself when MINIVMM_REQUIRE_TRACEPOINTS names the way.
    static func require(_ method: ExitTracepoints.Method) throws {
        do {
            try shared().checkTracepoints(by: method)
        } catch let error as TracepointError {
            let required = ProcessInfo.processInfo.environment["MINIVMM_REQUIRE_TRACEPOINTS"] ?? ""
            if required.split(separator: ",").contains(where: { $0 == method.rawValue }) { throw error }
            throw XCTSkip("\(method.rawValue) tracepoints: \(error.explanation)")
        }
    }
}
