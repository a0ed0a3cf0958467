@testable import Devices
@testable import Host
@testable import Memory
@testable import MiniVMM

extension ACPIDescription {
    /// What the standard components say of themselves.
    static func standard() throws -> ACPIDescription {
        var attachments = try Attachments.forTests()
        for component in MachineBuilder.standardComponents { try component.attach(to: &attachments) }
        return attachments.description
    }
}

extension Attachments {
    /// Those of a machine that there is no KVM behind.
    static func forTests(memorySize: UInt64 = 1 << 20) throws -> Attachments {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: memorySize)])
        return Attachments(
            machine: MachineContext(
                memory: memory, readsACPI: true, console: try ConsoleOutput(descriptor: -1), inputBell: try Doorbell(),
                setInterruptLevel: { _, _ in }, isEnding: { false }, end: { _ in }))
    }
}
