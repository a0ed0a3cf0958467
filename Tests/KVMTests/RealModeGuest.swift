import Foundation
import Memory
@testable import TestSupport
import XCTest

@testable import KVM

/// A vCPU in real mode with 64 KiB of memory and a few instructions.
///
/// DS and ES are 0, and SS is too. What lies at 0xA0000 and above has no memory.
struct RealModeGuest {
    /// Where the code starts.
    static let codeStart = GuestPhysicalAddress(0x1000)

    let memory: GuestMemory
    let vcpu: VCPU

    /// Makes the guest.
    ///
    /// - Throws: `XCTSkip` where there is no KVM; the error itself where MINIVMM_REQUIRE_KVM is 1.
    init(_ code: [UInt8]) throws {
        let kvm = try Self.openKVM()
        memory = try GuestMemory(layout: [(GuestPhysicalAddress(0), 0x1_0000)])
        try memory.write(code, at: Self.codeStart)
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(kvm.supportedCPUID())
        var special = try vcpu.specialRegisters()
        (special.cs.base, special.cs.selector) = (0, 0)
        try vcpu.setSpecialRegisters(special)
        var general = GeneralRegisters()
        general.rip = Self.codeStart.rawValue
        try vcpu.setRegisters(general)
    }

    private static func openKVM() throws -> KVM {
        do {
            return try KVM()
        } catch {
            if ProcessInfo.processInfo.environment["MINIVMM_REQUIRE_KVM"] == "1" { throw error }
            throw XCTSkip("no usable KVM: \(error)")
        }
    }

    /// Runs until the next exit.
    func nextExit() throws -> Exit {
        let result = vcpu.enter()
        guard result == 0 else { throw KVMError.failed("KVM_RUN", result) }
        return Exit(of: vcpu)
    }

    /// An exit in words, which cannot point into the run page.
    static func words(_ exit: Exit) -> String {
        switch exit {
        case .portOut(let access):
            let items = (0..<access.count).map { String(access.item($0), radix: 16) }
            return "out \(String(access.port, radix: 16)) \(access.width) \(items.joined(separator: " "))"
        case .portIn(let access):
            return "in \(String(access.port, radix: 16)) \(access.width) \(access.count)"
        case .mmioWrite(let access):
            return "write \(access.address) \(access.byteCount) \(String(access.value, radix: 16))"
        case .mmioRead(let access):
            return "read \(access.address) \(access.byteCount)"
        default: return "\(exit)"
        }
    }
}
