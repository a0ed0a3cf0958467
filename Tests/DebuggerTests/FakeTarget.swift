@testable import Counters
@testable import Debugger
@testable import KVM
@testable import Memory
@testable import MiniVMM

/// A machine of two vCPUs that runs nothing, for conversations without KVM.
final class FakeTarget: DebugTarget {
    let vcpuCount = 2
    var support = DebugSupport(breakpoints: true, watchpoints: true, softwareBreakpoints: false, steps: true)
    let memory: GuestMemory
    private(set) var states: [VCPURegisters]
    private let counters: ExitCounterTable

    /// What the last packet let the machine do; nil while it is stopped.
    private(set) var motions: [DebugControl.Motion]?
    private(set) var points = DebugControl.Points()
    private(set) var isKilled = false
    private(set) var resumeCount = 0
    /// What comes to a stop next.
    var stops: [DebugControl.Stop] = []

    /// Memory of two pages at 0, and code in 64-bit mode without paging, as far as linear addresses go.
    init(is64Bit: Bool = true) throws {
        counters = try ExitCounterTable(vcpuCount: 2)
        memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 2 * GuestMemory.pageSize)])
        var state = VCPURegisters(
            general: GeneralRegisters(), special: SpecialRegisters(), floatingPoint: FloatingPointState())
        if is64Bit {
            state.special.cr0 = RegisterBits.cr0ProtectionEnable
            state.special.efer = RegisterBits.eferLongModeActive
            state.special.cs.l = 1
        }
        state.general.rip = 0x1234
        states = [state, state]
    }

    func pause() -> Bool {
        motions = nil
        return !isKilled
    }

    func resume(_ motions: [DebugControl.Motion], at points: DebugControl.Points, isWatched: Bool) {
        self.motions = motions
        self.points = points
        resumeCount += 1
    }

    func takeStop() -> DebugControl.Stop? { stops.isEmpty ? nil : stops.removeFirst() }
    func kill() { isKilled = true }
    func registers(ofVCPU vcpu: Int) -> VCPURegisters? { states[vcpu] }

    func setRegisters(_ registers: VCPURegisters, from old: VCPURegisters, ofVCPU vcpu: Int) -> Bool {
        states[vcpu] = registers
        return true
    }

    func change(_ vcpu: Int, _ change: (inout VCPURegisters) -> Void) { change(&states[vcpu]) }
    func waitState(ofVCPU vcpu: Int) -> VCPUWaitState? { nil }
    func exits() -> CounterSnapshot { CounterSnapshot(counters) }

    /// Books exits of a kind, as a running guest would.
    func book(_ kind: ExitKind, count: Int, cycles: UInt64) {
        for _ in 0..<count {
            counters.counters(of: 0).begin(kind)
            counters.counters(of: 0).finish(kind, serviceCycles: cycles)
        }
    }
}

/// A conversation with it.
struct Conversation {
    let target: FakeTarget
    var session: RemoteSession<FakeTarget>

    init(_ target: FakeTarget) {
        self.target = target
        session = RemoteSession(target)
        _ = session.receive(RemotePacket.encode("QStartNoAckMode".utf8))
    }

    /// The answer to a packet, without its frame; nil for none.
    mutating func ask(_ text: String) -> String? { ask(Array(text.utf8)) }

    mutating func ask(_ payload: [UInt8]) -> String? { Self.text(session.receive(RemotePacket.encode(payload))) }

    /// What it says of a stop.
    mutating func stop(_ stop: DebugControl.Stop) -> String? {
        target.stops.append(stop)
        return Self.text(session.machineMayHaveStopped())
    }

    static func text(_ bytes: [UInt8]) -> String? {
        var decoder = PacketDecoder()
        for byte in bytes {
            if case .packet(let payload) = decoder.take(byte) { return String(decoding: payload, as: UTF8.self) }
        }
        return nil
    }
}
