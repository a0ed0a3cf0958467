import CKVM
package import Counters
package import KVM
package import Memory
package import MiniVMM

/// What a debugger debugs: a machine, or in tests what stands for one.
///
/// Everything but ``pause()`` and ``kill()`` is for the time while it is paused.
package protocol DebugTarget {
    /// How many vCPUs there are, at least one.
    var vcpuCount: Int { get }
    /// What works on this host.
    var support: DebugSupport { get }
    /// The guest's memory.
    var memory: GuestMemory { get }

    /// Stops all vCPUs.
    ///
    /// - Returns: Whether they are; false when the run has ended.
    func pause() -> Bool
    /// Lets them go on, with a debugger that watches or without.
    func resume(_ motions: [DebugControl.Motion], at points: DebugControl.Points, isWatched: Bool)
    /// Takes the oldest stop that has not been taken.
    func takeStop() -> DebugControl.Stop?
    /// Ends the run.
    func kill()

    /// A vCPU's registers, or nil when KVM does not hand them out.
    func registers(ofVCPU vcpu: Int) -> VCPURegisters?
    /// Sets what differs from the registers as they were.
    ///
    /// - Returns: Whether KVM took them.
    func setRegisters(_ registers: VCPURegisters, from old: VCPURegisters, ofVCPU vcpu: Int) -> Bool
    /// What a vCPU waits for, where that is known.
    func waitState(ofVCPU vcpu: Int) -> VCPUWaitState?
    /// The exits so far.
    func exits() -> CounterSnapshot
}

/// A machine that is debugged.
struct MachineTarget: DebugTarget {
    let machine: Machine
    let control: DebugControl
    let support: DebugSupport

    var vcpuCount: Int { machine.vcpuCount }
    var memory: GuestMemory { machine.guestMemory }

    func pause() -> Bool { control.pause() }
    func resume(_ motions: [DebugControl.Motion], at points: DebugControl.Points, isWatched: Bool) {
        control.resume(motions, at: points, isWatched: isWatched)
    }
    func takeStop() -> DebugControl.Stop? { control.takeStop() }
    func kill() { machine.control.stop(.signal(SIGKILL)) }

    func registers(ofVCPU vcpu: Int) -> VCPURegisters? { try? machine.registers(ofVCPU: vcpu) }
    func setRegisters(_ registers: VCPURegisters, from old: VCPURegisters, ofVCPU vcpu: Int) -> Bool {
        (try? machine.setRegisters(registers, from: old, ofVCPU: vcpu)) != nil
    }
    func waitState(ofVCPU vcpu: Int) -> VCPUWaitState? { machine.waitState(ofVCPU: vcpu) }
    func exits() -> CounterSnapshot { machine.countersSoFar }
}

extension DebugTarget {
    /// Reads bytes at a linear address as a vCPU sees it, as far as they are mapped and in memory.
    func read(_ linear: UInt64, _ count: Int, by walk: PageWalk?) -> [UInt8] {
        var result: [UInt8] = []
        eachPage(linear, count, by: walk) { address, range in
            guard let bytes = try? memory.bytes(at: address, count: range.count) else { return false }
            result += bytes
            return true
        }
        return result
    }

    /// Writes bytes at a linear address as a vCPU sees it: all, or none.
    func write(_ bytes: [UInt8], _ linear: UInt64, by walk: PageWalk?) -> Bool {
        var parts: [(GuestPhysicalAddress, ArraySlice<UInt8>)] = []
        let isMapped = eachPage(linear, bytes.count, by: walk) { address, range in
            guard memory.contains(address, byteCount: UInt64(range.count)) else { return false }
            parts.append((address, bytes[range]))
            return true
        }
        guard isMapped else { return false }
        for (address, part) in parts { try? memory.write(part, at: address) }
        return true
    }

    /// Calls a closure for the part of a stretch of linear addresses that is in each page.
    ///
    /// - Parameters:
    ///   - walk: The vCPU's page tables; nil for physical addresses.
    ///   - body: Takes the physical address and the offsets in the stretch; returns whether to go on.
    /// - Returns: Whether it came to the end.
    @discardableResult
    private func eachPage(
        _ linear: UInt64, _ count: Int, by walk: PageWalk?, _ body: (GuestPhysicalAddress, Range<Int>) -> Bool
    ) -> Bool {
        var offset = 0
        while offset < count {
            let address = linear &+ UInt64(offset)
            let inPage = Int(GuestMemory.pageSize - address % GuestMemory.pageSize)
            let end = min(count, offset + inPage)
            let physical = walk.map { $0.translate(address, in: memory) } ?? GuestPhysicalAddress(address)
            guard let physical, body(physical, offset..<end) else { return false }
            offset = end
        }
        return true
    }
}
