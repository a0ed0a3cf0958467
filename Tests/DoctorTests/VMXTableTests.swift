@testable import Doctor
@testable import Host
@testable import TestSupport
import XCTest

/// The VMX capability MSRs, decoded from values that students of virtualization have published with their kernels' logs,
/// or that follow from the SDM's appendix A by hand.
final class VMXTableTests: XCTestCase {
    /// Two processors: the guest of a hypervisor, and one with a few controls more. Their values are of dmesg logs of the
    /// usual first assignment: "Pinbased Controls MSR: 0x3f00000016", "Procbased Controls MSR: 0xfff9fffe0401e172" …
    private static let published: [VMXRegister: UInt64] = [
        .pinBased: 0x3f_0000_0016, .processorBased: 0xfff9_fffe_0401_e172, .processorBased2: 0x55_3cfe_0000_0000,
        .exit: 0x3f_efff_0003_6dff, .entry: 0xd3ff_0000_11ff,
    ]

    private func section(_ register: VMXRegister, _ values: [VMXRegister: UInt64]...) throws -> VMXTable.Section {
        let table = VMXTable(values.map(VMXCapabilities.init))
        return try XCTUnwrap(table.sections.first { $0.registers.contains { $0.register == register } })
    }

    /// The names of the controls that have the given settings.
    private func names(_ section: VMXTable.Section, set: Bool, clear: Bool, source: Int = 0) -> [String] {
        section.rows.compactMap {
            guard case .control(_, let name, let settings) = $0 else { return nil }
            return settings[source] == VMXSetting(canSet: set, canClear: clear) ? name : nil
        }
    }

    func testPinBasedControls() throws {
        let section = try section(.pinBased, Self.published, [.pinBased: 0x7f_0000_0016])
        XCTAssertEqual(
            names(section, set: true, clear: true), ["External-interrupt exiting", "NMI exiting", "Virtual NMIs"])
        XCTAssertEqual(
            names(section, set: false, clear: true), ["Activate VMX-preemption timer", "Process posted interrupts"])
        XCTAssertEqual(
            names(section, set: true, clear: true, source: 1),
            ["External-interrupt exiting", "NMI exiting", "Virtual NMIs", "Activate VMX-preemption timer"])
        XCTAssertEqual(names(section, set: false, clear: true, source: 1), ["Process posted interrupts"])
        // The default1 class of appendix A.3.1.
        XCTAssertEqual(section.fixedOthers, [1, 2, 4])
        XCTAssertEqual(section.flexibleOthers, [])
    }

    func testPrimaryProcessorBasedControls() throws {
        let section = try section(.processorBased, Self.published)
        XCTAssertEqual(section.rows.count, 22)
        // As the published log has it: all can be set and cleared but for these.
        XCTAssertEqual(names(section, set: true, clear: false), ["CR3-load exiting", "CR3-store exiting"])
        XCTAssertEqual(names(section, set: false, clear: true), ["Activate tertiary controls"])
        XCTAssertEqual(names(section, set: true, clear: true).count, 19)
        // Appendix A.3.2: bits 1, 4-6, 8, 13-16 and 26, of which 15 and 16 have names by now.
        XCTAssertEqual(section.fixedOthers, [1, 4, 5, 6, 8, 13, 14, 26])
    }

    func testSecondaryProcessorBasedControls() throws {
        let section = try section(.processorBased2, Self.published)
        XCTAssertEqual(
            names(section, set: true, clear: true),
            [
                "Enable EPT", "Descriptor-table exiting", "Enable RDTSCP", "Virtualize x2APIC mode", "Enable VPID",
                "WBINVD exiting", "Unrestricted guest", "PAUSE-loop exiting", "RDRAND exiting", "Enable INVPCID",
                "Enable VM functions", "RDSEED exiting", "EPT-violation #VE", "Enable XSAVES/XRSTORS",
                "Mode-based execute control for EPT",
            ])
        XCTAssertEqual(names(section, set: true, clear: false), [])
        XCTAssertEqual(section.fixedOthers, [])
    }

    func testExitControls() throws {
        let section = try section(.exit, Self.published)
        XCTAssertEqual(
            names(section, set: true, clear: true),
            [
                "Host address-space size", "Acknowledge interrupt on exit", "Save IA32_PAT", "Load IA32_PAT",
                "Save IA32_EFER", "Load IA32_EFER",
            ])
        XCTAssertEqual(names(section, set: true, clear: false), ["Save debug controls"])
        XCTAssertEqual(section.fixedOthers, [0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 16, 17])
    }

    func testEntryControls() throws {
        let section = try section(.entry, Self.published)
        XCTAssertEqual(
            names(section, set: true, clear: true), ["IA-32e mode guest", "Load IA32_PAT", "Load IA32_EFER"])
        XCTAssertEqual(names(section, set: true, clear: false), ["Load debug controls"])
        XCTAssertEqual(section.fixedOthers, [0, 1, 3, 4, 5, 6, 7, 8, 12])
    }

    func testControlsOf64Bits() throws {
        let section = try section(.processorBased3, [.processorBased3: 0x1_0000_0010])
        XCTAssertEqual(names(section, set: true, clear: true), ["IPI virtualization"])
        XCTAssertEqual(section.flexibleOthers, [32])
        let exit = try self.section(.exit2, [.exit2: 0b1010])
        XCTAssertEqual(names(exit, set: true, clear: true), ["Load FRED", "Prematurely busy shadow stack"])
    }

    func testControlRegisters() throws {
        // PE, NE and PG must be 1; bits 31:0 may be. VMXE must be 1.
        let values: [VMXRegister: UInt64] = [
            .cr0Fixed0: 0x8000_0021, .cr0Fixed1: 0xffff_ffff, .cr4Fixed0: 0x2000, .cr4Fixed1: 0x3767ff,
        ]
        let cr0 = try section(.cr0Fixed0, values)
        XCTAssertEqual(names(cr0, set: true, clear: false), ["PE", "NE", "PG"])
        let cr4 = try section(.cr4Fixed1, values)
        XCTAssertEqual(names(cr4, set: true, clear: false), ["VMXE"])
        XCTAssertEqual(
            names(cr4, set: false, clear: true),
            ["UMIP", "LA57", "KL", "PKE", "CET", "PKS", "UINTR", "LAM_SUP", "FRED"])
        // One of the two says nothing.
        XCTAssertEqual(VMXTable([VMXCapabilities([.cr0Fixed0: 1])]).sections, [])
    }

    func testFacts() throws {
        func readings(_ register: VMXRegister, _ value: UInt64) throws -> [String: String?] {
            Dictionary(
                uniqueKeysWithValues: try section(register, [register: value]).rows.compactMap {
                    guard case .fact(_, let name, let readings) = $0 else { return nil }
                    return (name, readings[0])
                })
        }
        // Revision 4, 1,024 bytes, write-back, INS and OUTS, TRUE registers, dual-monitor.
        let basic = try readings(.basic, 0x00da_0400_0000_0004)
        XCTAssertEqual(basic["VMCS revision identifier"], "0x4")
        XCTAssertEqual(basic["Bytes of VMXON region and VMCS"], "1024")
        XCTAssertEqual(basic["Memory type of VMCS accesses"], "write-back")
        XCTAssertEqual(basic["Dual-monitor treatment of SMIs and SMM"], "yes")
        XCTAssertEqual(basic["Controls of the default1 class may be 0 (the TRUE MSRs)"], "yes")
        XCTAssertEqual(basic["Their physical addresses have 32 bits at most"], "no")
        let miscellaneous = try readings(.miscellaneous, 0x7004_c1e7)
        XCTAssertEqual(miscellaneous["TSC bit that the VMX-preemption timer follows"], "7")
        XCTAssertEqual(miscellaneous["CR3-target values"], "4")
        XCTAssertEqual(miscellaneous["MSRs in a list at most, as recommended"], "512")
        XCTAssertEqual(miscellaneous["Activity state wait-for-SIPI"], "yes")
        XCTAssertEqual(miscellaneous["MSEG revision identifier"], "0x0")
        XCTAssertEqual(try readings(.fieldEnumeration, 0x2e)["Highest index of a VMCS field"], "23")
        let paging = try readings(.pagingCapabilities, 0x0f01_0673_4141)
        // Bits 0, 6, 8, 14, 16, 17, 20-22, 25, 26; 32, 40-43.
        XCTAssertEqual(paging.filter { $0.value == "yes" }.count, 16)
        XCTAssertEqual(paging["Page walks of length 5"], "no")
        XCTAssertEqual(paging["1-GByte pages"], "yes")
    }

    func testEveryBitHasOneName() {
        var groups = 0
        for section in VMXSection.all {
            switch section.content {
            case .controls(_, let names):
                groups += 1
                XCTAssertEqual(names.map(\.bit), Set(names.map(\.bit)).sorted(), section.title)
                XCTAssertEqual(Set(names.map(\.name)).count, names.count, section.title)
            case .facts(_, let facts):
                XCTAssertEqual(facts.count, Set(facts.map(\.name)).count, section.title)
                for (one, next) in zip(facts, facts.dropFirst()) {
                    XCTAssertLessThan(one.bits.upperBound, next.bits.lowerBound, next.name)
                }
            }
        }
        XCTAssertEqual(groups, 14)
        XCTAssertEqual(VMXRegister.allCases.map(\.rawValue), Array(0x480...0x493))
    }
}
