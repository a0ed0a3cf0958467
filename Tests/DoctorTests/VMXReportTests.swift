@testable import Doctor
@testable import Host
@testable import KVM
@testable import TestSupport
import XCTest

@testable import minivmm_cli

/// How `minivmm doctor --vmx` shows it, for hosts that are not at hand.
final class VMXReportTests: XCTestCase {
    private static func diagnosis(
        vendor: String = "GenuineIntel",
        processor: VMXSource = .values(
            VMXCapabilities([
                .basic: 0x00da_0400_0000_0004, .pinBased: 0x7f_0000_0016, .cr0Fixed0: 0x8000_0021,
                .cr0Fixed1: 0xffff_ffff,
            ])),
        kvm: VMXSource = .values(VMXCapabilities([.pinBased: 0x3f_0000_0016])),
        svm: SVMFeatures? = nil
    ) -> VMXDiagnosis {
        VMXDiagnosis(vendor: vendor, processorName: "Example CPU", processor: processor, kvm: kvm, svm: svm)
    }

    private static let onAMD = diagnosis(
        vendor: "AuthenticAMD", processor: .unreadable(VMXObstacle.notIntel(vendor: "AuthenticAMD")),
        kvm: .unreadable(VMXObstacle.notOffered), svm: SVMFeatures(eax: 1, ebx: 16, edx: 0b1001))

    private func text(_ diagnosis: VMXDiagnosis) -> String {
        VMXReport(diagnosis, remedy: { Diagnostics.remedy(for: $0) }).text
    }

    func testBothSourcesStandSideBySide() {
        let text = text(Self.diagnosis())
        XCTAssertTrue(
            text.contains(
                """

                pin-based VM-execution controls
                  IA32_VMX_PINBASED_CTLS, 0x481: processor 0x0000007f00000016, KVM 0x0000003f00000016
                  bit                                 processor: can set  can clear  KVM: can set  can clear
                  0    External-interrupt exiting     yes                 yes        yes           yes
                  3    NMI exiting                    yes                 yes        yes           yes
                  5    Virtual NMIs                   yes                 yes        yes           yes
                  6    Activate VMX-preemption timer  yes                 yes        no            yes
                  7    Process posted interrupts      no                  yes        no            yes
                  others that can be set and not cleared: 1, 2, 4

                """), text)
        XCTAssertTrue(
            text.contains("  IA32_VMX_BASIC, 0x480: processor 0x00da040000000004, KVM none\n"), text)
        XCTAssertTrue(text.contains("\n  5    NE  yes                 no         -             -\n"), text)
        XCTAssertFalse(text.contains("SVM"), text)
        XCTAssertTrue(Self.diagnosis().isReadable)
    }

    func testOneSourceAndWhyThereIsNoOther() {
        let diagnosis = Self.diagnosis(
            processor: .unreadable(ProcessorMSRError.noFile(path: "/dev/cpu/0/msr")))
        let text = text(diagnosis)
        XCTAssertTrue(text.contains("\n  bit                                 KVM: can set  can clear\n"), text)
        XCTAssertTrue(
            text.hasSuffix(
                """

                /dev/cpu/0/msr does not exist (ENOENT).
                Load the module with `sudo modprobe msr`, and run this as root.

                """), text)
        XCTAssertTrue(diagnosis.isReadable)
    }

    func testProcessorOfAnotherMaker() {
        let text = text(Self.onAMD)
        XCTAssertFalse(Self.onAMD.isReadable)
        XCTAssertTrue(
            text.hasPrefix(
                """
                processor  Example CPU, AuthenticAMD

                SVM, revision 1, 16 address-space identifiers: CPUID 0x8000000A EDX
                  0   Nested paging                         yes
                  1   LBR virtualization                    no
                  2   SVM lock                              no
                  3   NRIP save                             yes

                """), text)
        XCTAssertTrue(
            text.contains(
                "\nThis is not an Intel processor (AuthenticAMD): it has neither VMX nor VMX capability MSRs.\n"), text)
        XCTAssertFalse(text.contains("offers no VMX"), text)
        let offered = self.text(Self.diagnosis(kvm: .unreadable(VMXObstacle.notOffered)))
        XCTAssertTrue(offered.contains("\nThis KVM offers no VMX to guests.\n"), offered)
    }

    func testRecordsAreValid() throws {
        let schema = try JSONSchema(file: "vmx.schema.json")
        for diagnosis in [
            Self.diagnosis(), Self.onAMD, VMXDiagnosis(devicePath: KVM.defaultDevicePath),
            VMXDiagnosis(devicePath: "/nonexistent/kvm"),
        ] {
            let record = try JSONValue(VMXRecord(diagnosis, remedy: { Diagnostics.remedy(for: $0) }).json())
            XCTAssertEqual(schema.problems(of: record), [])
        }
        let record = try JSONValue(VMXRecord(Self.diagnosis(), remedy: { _ in "" }).json())
        let pinBased = try XCTUnwrap(record["sections"]?.elements.first { $0["controls"]?.elements.isEmpty == false })
        XCTAssertEqual(
            pinBased["controls"]?.elements[3],
            try JSONValue(
                """
                {
                  "bit": 6, "name": "Activate VMX-preemption timer",
                  "allowed": {
                    "processor": {"can_set": true, "can_clear": true}, "kvm": {"can_set": false, "can_clear": true}
                  }
                }
                """))
        XCTAssertEqual(pinBased["registers"]?.elements[0]["value"]?["processor"], .string("0x0000007f00000016"))
    }

    func testDamagedRecordsAreNotValid() throws {
        try TestBed.skipWhereEmulated()
        let schema = try JSONSchema(file: "vmx.schema.json")
        let record = try JSONValue(VMXRecord(Self.diagnosis(svm: Self.onAMD.svm), remedy: { _ in "" }).json())
        let cases = JSONDamage.all(of: record)
        XCTAssertGreaterThan(cases.count, 50)
        // Which features there are is not the schema's to say.
        for damage in cases where !(damage.what.contains(".features.") && damage.what.hasSuffix(" removed")) {
            XCTAssertNotEqual(schema.problems(of: damage.value), [], damage.what)
        }
    }

    func testCommandSaysWhatThisHostHas() throws {
        let run = try CommandLineRun(["doctor", "--vmx"])
        let diagnosis = VMXDiagnosis(devicePath: KVM.defaultDevicePath)
        run.assertStatus(diagnosis.isReadable ? 0 : 69)
        XCTAssertEqual(run.errors, "")
        XCTAssertEqual(run.outputText, text(diagnosis))
        XCTAssertTrue(run.outputText.contains(HostFacts.processorVendor), run.outputText)
        let json = try CommandLineRun(["doctor", "--vmx", "--json"])
        json.assertStatus(diagnosis.isReadable ? 0 : 69)
        XCTAssertEqual(try JSONValue(json.output)["vendor"]?.string, HostFacts.processorVendor)
    }

    func testFeatureMSRsOfThisKVM() throws {
        let kvm = try TestKVM.shared()
        let numbers = try kvm.featureMSRs()
        // Whatever it lists, it has; and a register that it does not list, it has not.
        for number in numbers { XCTAssertNotNil(try kvm.featureMSR(number), "\(number)") }
        XCTAssertNil(try kvm.featureMSR(0xffff_0000))
        XCTAssertEqual(numbers.isEmpty, kvm.value(of: .featureMSRs) == 0)
    }
}
