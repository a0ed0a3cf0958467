@testable import Boot
import CKVM
@testable import Counters
@testable import Host
@testable import KVM
@testable import Memory
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// The statistics of the KVM at hand.
final class KernelStatisticsTests: XCTestCase {
    /// A finished run of a built-in guest, and KVM's statistics of its vCPU.
    private func run(_ name: String, argument: UInt32 = 0) throws -> (run: GuestRun, kernel: KernelStatistics) {
        let guest = try XCTUnwrap(BuiltInGuest(named: name))
        var vcpu: VCPU?
        let run = try GuestRun(guest.image, argument: argument) { vcpu = $0.runners.first?.vcpu }
        guard let kernel = try XCTUnwrap(vcpu).kernelStatistics() else {
            throw XCTSkip("this KVM has no statistics (KVM_CAP_BINARY_STATS_FD)")
        }
        return (run, kernel)
    }

    func testCapabilityTellsWhetherThereAreAny() throws {
        let kvm = try TestKVM.shared()
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: GuestMemory.pageSize)])
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        let hasStatistics = kvm.value(of: .binaryStatistics) > 0
        XCTAssertEqual(try machine.kernelStatistics() != nil, hasStatistics)
        XCTAssertEqual(try machine.makeVCPU(id: 0).kernelStatistics() != nil, hasStatistics)
    }

    func testIdentifierNamesProcessAndVCPU() throws {
        let kernel = try run("hello").kernel
        XCTAssertEqual(kernel.identifier, "kvm-\(getpid())/vcpu-0")
    }

    func testNamesAreUniqueAndValuesThere() throws {
        let statistics = try run("hello").kernel.statistics
        XCTAssertGreaterThan(statistics.count, 10)
        XCTAssertEqual(Set(statistics.map(\.name)).count, statistics.count)
        for statistic in statistics {
            XCTAssertFalse(statistic.name.isEmpty)
            XCTAssertFalse(statistic.values.isEmpty, statistic.name)
            XCTAssertEqual(statistic.isHistogram, statistic.values.count > 1, statistic.name)
        }
    }

    /// Each OUT and the HLT is one exit to KVM as it is one to MiniVMM. What KVM counts more are host interrupts and
    /// page faults, of which there are far fewer than OUTs.
    func testStormCountsTheSameInKVMAndHere() throws {
        let outs: UInt32 = 20_000
        let (run, kernel) = try run("storm", argument: outs)
        let own = run.outcome.statistics.total.exits
        XCTAssertEqual(own, UInt64(outs) + 1)
        let exits = try XCTUnwrap(kernel["exits"])
        XCTAssertGreaterThanOrEqual(exits, own)
        XCTAssertLessThan(exits, 2 * own)
        XCTAssertEqual(kernel["halt_exits"], 1)
    }

    func testNumbersGrowBetweenReadsOfOneFile() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "storm"))
        var file: KernelStatisticsFile?
        var before: UInt64?
        _ = try GuestRun(guest.image, argument: 100) { machine in
            file = try machine.runners.first?.vcpu.openKernelStatistics()
            before = try file?.read()["exits"]
        }
        guard let file else { throw XCTSkip("this KVM has no statistics (KVM_CAP_BINARY_STATS_FD)") }
        // The file works on although the machine is gone.
        XCTAssertEqual(before, 0)
        XCTAssertGreaterThanOrEqual(try XCTUnwrap(file.read()["exits"]), 101)
    }

    /// /dev/kvm itself does not know the ioctl, as virtual machines of old kernels do not.
    func testUnknownIoctlMeansNoStatistics() throws {
        XCTAssertNil(try KernelStatisticsFile.open(TestKVM.shared().descriptor.number))
    }

    func testOtherFailuresAreErrors() {
        XCTAssertThrowsError(try KernelStatisticsFile.open(-1)) { error in
            XCTAssertEqual(
                error as? KVMError, .ioctl(name: "KVM_GET_STATS_FD", ErrorNumber(rawValue: EBADF)))
        }
    }
}
