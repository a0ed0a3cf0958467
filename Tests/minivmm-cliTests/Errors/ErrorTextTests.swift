@testable import Boot
@testable import Counters
@testable import Devices
@testable import Doctor
@testable import Host
@testable import KVM
@testable import Memory
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// What holds for every error: one sentence that says what happened, one that says what to do, and an exit status out
/// of the documented ones.
final class ErrorTextTests: XCTestCase {
    private static let number = ErrorNumber.outOfMemory

    private static let errors: [any CommandError] =
        plainErrors + obstacles.map { TracepointError.notPermitted(call: "BPF_PROG_LOAD", .notPermitted, $0) }

    private static let plainErrors: [any CommandError] = [
        KVMError.deviceNotFound(path: "/p"), KVMError.permissionDenied(path: "/p", number),
        KVMError.deviceUnusable(path: "/p", number), KVMError.notKVM(path: "/p", number),
        KVMError.wrongAPIVersion(found: 11, expected: 12), KVMError.missingCapability(.irqchip),
        KVMError.ioctl(name: "KVM_RUN", number), KVMError.outOfResources(name: "KVM_CREATE_VM", number),
        GuestMemoryError.outOfBounds(address: GuestPhysicalAddress(16), byteCount: 4),
        GuestMemoryError.refused(byteCount: 1 << 20, number), GuestMemoryError.invalidLayout,
        FlatGuestError.emptyImage, FlatGuestError.doesNotFit(imageSize: 9, address: 0x7c00, room: 8),
        FlatGuestError.badLoadAddress(0xa0000), FlatGuestError.entryNeeded(loadAddress: 0x10_0000),
        FlatGuestError.badMemorySize(17),
        SiteTrapError.notCPUID(address: 0x7c00), SiteTrapError.tooManySites(count: 5), SiteTrapError.noFreePort,
        SiteTrapError.notSupported(.debug), ConsoleError.notWritable(number),
        ImageError.unreadable(path: "/p", number), ImageError.shortened(path: "/p"),
        ImageError.notAFile(path: "/p", kind: "a directory"),
        ImageError.empty(path: "/p"), ImageError.oversized(path: "/p", size: 9, limit: 8),
        ImageError.oversized(path: "/p", size: nil, limit: 8), ImageError.unsupported(path: "/p", .bzImage),
        ResourceError("an eventfd", number), MachineError.alreadyRun, CPUCountError.outOfRange(0, maximum: 8),
        LinuxSupportError.cannotBoot(.emulatesRingZero), LinuxSupportError.cannotBoot(.dies(.tripleFault)),
        LinuxSupportError.cannotBoot(.missingCapability(.pit2)),
        TracepointError.noTraceFileSystem(.notPermitted), TracepointError.noTraceFileSystem(.notImplemented),
        TracepointError.noTraceFileSystem(number), TracepointError.noTracepoint("kvm_exit"), TracepointError.noTypes,
        TracepointError.unknownRecord(tracepoint: "kvm_exit", field: "isa"),
        TracepointError.refused(call: "mmap", number), TracepointError.refused(call: "bpf", .notImplemented),
        TracepointError.noRoomForTrace(events: 8, threads: 1, number),
        TracepointError.noRoomForTrace(events: 8, threads: 2, number),
        TracepointError.rejected(program: "kvm_exit", reason: "R1 invalid"),
        TracepointError.doesNotCount(expected: 100, seen: 0), TracepointError.doesNotCount(expected: 100, seen: 7),
        NetworkError.noTunnels(.noSuchFile), NetworkError.noInterface("tap0"), NetworkError.refused("tap0", number),
        NetworkError.refused("tap0", ErrorNumber(rawValue: EBUSY)), NetworkError.refused("tap0", .notPermitted),
        NetworkError.refused("tap0", ErrorNumber(rawValue: EINVAL)), NetworkError.notConnected(path: "/p", number),
        PasstError.notFound, PasstError.ended("word"), PasstError.ended(nil), PasstError.silent,
        ShareError.notUsable(path: "/p", number), ShareError.notUsable(path: "/p", .notImplemented),
        ShareError.notAFolder(path: "/p"), ShareError.noDescriptors(number), ShareError.tag("t", limit: 36),
        ProcessorMSRError.noFile(path: "/p"), ProcessorMSRError.notPermitted(path: "/p", number),
        ProcessorMSRError.unusable(path: "/p", number), VMXObstacle.notIntel(vendor: "AuthenticAMD"),
        VMXObstacle.noVMX(vendor: "GenuineIntel"), VMXObstacle.notOffered,
    ]

    private static let obstacles: [PermissionObstacle] = [
        .capabilities([.bpf, .performanceMonitoring]), .capabilities([.systemAdministration]), .userNamespace,
        .lockdown, .perfEventParanoid(3), .systemCallFilter, .unknown,
    ]

    func testEverySentenceEndsAsOne() {
        for error in Self.errors {
            XCTAssertTrue(error.explanation.hasSuffix("."), error.explanation)
            XCTAssertTrue(error.remedy.hasSuffix("."), error.remedy)
            XCTAssertEqual(error.explanation.components(separatedBy: ". ").count, 1, error.explanation)
            XCTAssertFalse(error.explanation.contains("\n"), error.explanation)
            XCTAssertFalse(error.remedy.contains("\n"), error.remedy)
            XCTAssertEqual(error.description, error.explanation)
            XCTAssertEqual(error.clause + ".", error.explanation)
        }
    }

    func testEveryStatusIsADocumentedOne() {
        for error in Self.errors {
            XCTAssertTrue([64, 65, 66, 69, 70, 71, 74].contains(error.exitStatus.rawValue), error.description)
        }
    }

    func testErrorNumbersHaveNames() {
        XCTAssertEqual(ErrorNumber(rawValue: 12).name, "ENOMEM")
        XCTAssertEqual(ErrorNumber(rawValue: 12).description, "Cannot allocate memory")
        XCTAssertEqual(ErrorNumber(rawValue: 4242).name, "errno 4242")
        XCTAssertEqual(ErrorNumber(rawValue: 4242).description, "unknown error")
    }

    func testEndingsHaveTheirStatus() {
        let death = GuestDeath(cause: .tripleFault, vcpu: 0, state: nil)
        let stranger = GuestDeath(cause: .unexpectedExit(name: "KVM_EXIT_X", reason: 99), vcpu: 0, state: nil)
        for (ending, status): (RunEnding, Int32) in [
            (.halted, 0), (.poweredOff, 0), (.reset, 0), (.stopped, 0), (.panicked, 1), (.exitPort(200), 200),
            (.died(death), 1), (.died(stranger), 70), (.timeout, 124), (.signal(2), 130), (.signal(15), 143),
            (.failed(ConsoleError.notWritable(Self.number)), 74),
        ] {
            XCTAssertEqual(ending.exitStatus.rawValue, status, ending.name)
        }
    }
}
