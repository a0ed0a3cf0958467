@testable import Bench
@testable import Boot
import CKVM
@testable import Doctor
@testable import Host
@testable import KVM
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// A KVM that lacks something.
final class CapabilityErrorTests: XCTestCase {
    /// A KVM that has all capabilities but one. There is no machine behind it.
    private func kvm(without missing: Capability, answer: Int32 = 0) throws -> KVM {
        var calls = KVMSystemCalls()
        calls.open = { _ in ckvm_open("/dev/null", O_RDWR) }
        calls.getAPIVersion = { _ in KVM_API_VERSION }
        let number = missing.number
        calls.checkExtension = { $1 == number ? answer : 1 }
        return try KVM(path: "/dev/kvm", systemCalls: calls)
    }

    func testMachineNamesTheCapabilityThatIsMissing() throws {
        for capability in Capability.required {
            // 0 is how a kernel says no, and an older one says it by an error.
            for answer in [0, 0 &- EINVAL] {
                let kvm = try kvm(without: capability, answer: answer)
                XCTAssertThrowsError(try Machine(kvm: kvm, guest: FlatGuest(image: [0xf4]))) { error in
                    XCTAssertEqual(error as? KVMError, .missingCapability(capability))
                }
            }
        }
    }

    func testWords() {
        let error = KVMError.missingCapability(.immediateExit)
        XCTAssertEqual(error.explanation, "This KVM lacks KVM_CAP_IMMEDIATE_EXIT.")
        XCTAssertEqual(error.remedy, "Run a newer kernel; `minivmm doctor` lists what MiniVMM uses.")
        XCTAssertEqual(error.exitStatus.rawValue, 69)
    }

    func testNumbersAreThoseOfTheKernel() {
        // Source: include/uapi/linux/kvm.h.
        XCTAssertEqual(Capability.userMemory.number, 3)
        XCTAssertEqual(Capability.extendedCPUID.number, 7)
        XCTAssertEqual(Capability.immediateExit.number, 136)
        XCTAssertEqual(Set(Capability.all.map(\.number)).count, Capability.all.count)
        XCTAssertTrue(Capability.all.allSatisfy { $0.name.hasPrefix("KVM_CAP_") })
        XCTAssertEqual(Array(Capability.all.prefix(Capability.required.count)), Capability.required)
    }

    func testDoctorReportsIt() throws {
        let diagnosis = HostDiagnosis.example(missing: [.extendedCPUID, .msrFilter])
        XCTAssertFalse(diagnosis.isUsable)
        XCTAssertEqual(diagnosis.problems.map(\.explanation), ["This KVM lacks KVM_CAP_EXT_CPUID."])
        XCTAssertEqual(diagnosis.hints, ["A newer kernel has KVM_CAP_X86_MSR_FILTER."])
    }
}
