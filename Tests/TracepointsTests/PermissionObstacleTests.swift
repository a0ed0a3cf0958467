import Host
@testable import TestSupport
import XCTest

@testable import Tracepoints

/// What keeps a process from the tracepoints is told from what the kernel shows.
final class PermissionObstacleTests: XCTestCase {
    private static let bpf: UInt64 = 1 << 39
    private static let performanceMonitoring: UInt64 = 1 << 38
    private static let administration: UInt64 = 1 << 21

    private func obstacle(
        _ capabilities: UInt64, last: Int = 40, userNamespace: Bool = false, lockdown: String = "[none] integrity",
        paranoid: Int = 2, filter: Bool = false, isPerfEvent: Bool = false
    ) -> PermissionObstacle {
        PermissionObstacle(
            isPerfEvent: isPerfEvent,
            PermissionObstacle.Evidence(
                capabilities: capabilities, lastCapability: last, isInUserNamespace: userNamespace,
                lockdown: lockdown, perfEventParanoid: paranoid, hasSystemCallFilter: filter))
    }

    func testMissingCapabilitiesAreNamed() {
        XCTAssertEqual(obstacle(0), .capabilities([.bpf, .performanceMonitoring]))
        XCTAssertEqual(obstacle(Self.bpf), .capabilities([.performanceMonitoring]))
        XCTAssertEqual(obstacle(Self.performanceMonitoring), .capabilities([.bpf]))
        XCTAssertEqual(obstacle(0, userNamespace: true, filter: true), .capabilities([.bpf, .performanceMonitoring]))
        // Before Linux 5.8 there is one for all.
        XCTAssertEqual(obstacle(0, last: 37), .capabilities([.systemAdministration]))
        XCTAssertEqual(
            TracepointError.notPermitted(call: "BPF_MAP_CREATE", .notPermitted, obstacle(0)).explanation,
            """
            This process may not run programs at KVM's tracepoints (BPF_MAP_CREATE: EPERM): it lacks CAP_BPF and \
            CAP_PERFMON.
            """)
    }

    func testOtherObstacles() {
        let both = Self.bpf | Self.performanceMonitoring
        XCTAssertEqual(obstacle(Self.administration), .unknown)
        XCTAssertEqual(obstacle(Self.administration, last: 37), .unknown)
        XCTAssertEqual(obstacle(both, userNamespace: true, filter: true), .userNamespace)
        XCTAssertEqual(obstacle(both, lockdown: "none integrity [confidentiality]", filter: true), .lockdown)
        XCTAssertEqual(obstacle(both, lockdown: "none [integrity] confidentiality"), .unknown)
        XCTAssertEqual(obstacle(both, filter: true), .systemCallFilter)
        XCTAssertEqual(
            TracepointError.notPermitted(call: "BPF_PROG_LOAD", .notPermitted, .unknown).explanation,
            "This process may not run programs at KVM's tracepoints (BPF_PROG_LOAD: EPERM).")
    }

    func testPerfEvents() {
        let both = Self.bpf | Self.performanceMonitoring
        XCTAssertEqual(obstacle(both, paranoid: 3, isPerfEvent: true), .perfEventParanoid(3))
        XCTAssertEqual(obstacle(both, paranoid: 2, isPerfEvent: true), .unknown)
        XCTAssertEqual(obstacle(both, paranoid: 3, isPerfEvent: false), .unknown)
        XCTAssertEqual(obstacle(Self.administration, paranoid: 4, isPerfEvent: true), .unknown)
    }

    func testThisProcessHasEvidence() {
        let evidence = PermissionObstacle.Evidence.current
        XCTAssertGreaterThanOrEqual(evidence.lastCapability, 37)
        XCTAssertNotEqual(evidence.capabilities, .max)
    }
}
