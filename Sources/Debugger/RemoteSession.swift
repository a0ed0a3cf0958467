import Counters
import KVM
import Memory
import MiniVMM

/// A conversation with a debugger, from its connection to its end: bytes in, bytes out.
///
/// It speaks GDB's remote serial protocol in all-stop mode. vCPUs are threads, whose numbers are one higher than theirs.
/// Nothing that comes in makes it trap, wait for more than the vCPUs, or keep more than a packet.
///
/// Source: "Debugging with GDB", appendix "GDB Remote Serial Protocol".
package struct RemoteSession<Target: DebugTarget> {
    /// What the machine does as far as the debugger knows, and how the conversation has ended.
    package enum Phase: Sendable {
        /// The machine waits for the debugger.
        case stopped
        /// The debugger waits for the machine.
        case running
        /// The debugger has let the machine go.
        case detached
        /// The debugger has ended the run, or the run has ended.
        case ended
    }

    /// The longest payload that the debugger may send, and that it gets.
    static var packetSize: Int { 0x4000 }
    /// The most bytes of memory that a packet holds, as two digits each.
    static var maximumRead: Int { packetSize / 2 - 1 }

    let target: Target
    /// What the machine does.
    package private(set) var phase = Phase.stopped
    private var decoder = PacketDecoder()
    private var isAcknowledging = true
    private var lastPacket: [UInt8] = []
    private var output: [UInt8] = []

    /// The registers as this debugger was told of them.
    let layout: RegisterLayout
    /// The vCPU whose registers and memory are meant.
    var selected = 0
    /// The vCPU that steps, where a packet does not say.
    var stepping: Int?
    /// The vCPU that stopped last.
    private var lastStopped = 0
    private var points: PointTable
    /// Stops that have not been told yet.
    private var pending: [DebugControl.Stop] = []
    /// Whether memory is read and written by physical addresses.
    var usesPhysicalAddresses = false
    /// What the debugger understands in a stop reply.
    var understandsSoftwareBreaks = false
    var understandsHardwareBreaks = false
    /// Whether the debugger has looked at the last stop. It makes stops of its own, to get over a breakpoint, at which it
    /// looks at nothing.
    private var hasLooked = true
    /// The exits when the machine went on after a stop that was looked at, and when it stopped last.
    private(set) var exitsAtStart: CounterSnapshot
    private(set) var exitsAtStop: CounterSnapshot

    /// Begins, with a machine that is paused.
    package init(_ target: Target) {
        self.target = target
        layout = target.registers(ofVCPU: 0).map { RegisterLayout(for: $0) } ?? RegisterLayout(.x86_64)
        points = PointTable(support: target.support)
        exitsAtStart = target.exits()
        exitsAtStop = exitsAtStart
    }

    // MARK: The connection

    /// Takes what the debugger has sent.
    ///
    /// - Returns: What to send.
    package mutating func receive(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        for byte in bytes {
            guard phase == .stopped || phase == .running else { break }
            if let event = decoder.take(byte) { handle(event) }
        }
        return takeOutput()
    }

    private mutating func handle(_ event: RemoteEvent) {
        switch event {
        case .packet(let payload):
            if isAcknowledging { output.append(UInt8(ascii: "+")) }
            answer(payload)
        case .damaged:
            if isAcknowledging { output.append(UInt8(ascii: "-")) }
        case .acknowledged:
            break
        case .refused:
            if isAcknowledging { output += lastPacket }
        case .interrupt:
            guard phase == .running, target.pause() else { return }
            machineHasStopped(byInterrupt: true)
        }
    }

    /// Answers a packet. While the machine runs, there is nothing to be asked.
    private mutating func answer(_ payload: [UInt8]) {
        guard phase == .stopped else { return reply("E01") }
        let payload = payload[...]
        if Self.looks(payload) { hasLooked = true }
        if let text = answerToRequest(payload) { reply(text) }
    }

    /// Whether a packet asks for what a person wants to see of a stop.
    private static func looks(_ payload: ArraySlice<UInt8>) -> Bool {
        ["m", "g", "p", "?", "qfThreadInfo", "qRcmd"].contains { payload.starts(with: $0.utf8) }
    }

    /// Sends a packet.
    mutating func reply(_ text: String) {
        lastPacket = RemotePacket.encode(text.utf8)
        output += lastPacket
    }

    /// From the next packet on, neither side confirms what it got: the connection loses nothing.
    mutating func stopAcknowledging() {
        isAcknowledging = false
    }

    private mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    // MARK: Stopping and going on

    /// Looks whether the machine has stopped: when it may have.
    ///
    /// - Returns: What to send.
    package mutating func machineMayHaveStopped() -> [UInt8] {
        // A bell that rang for a stop which was told already.
        guard phase == .running, let stop = target.takeStop() else { return [] }
        // The vCPU that has stopped is parked, or soon is; the others are waited for.
        guard target.pause() else { return [] }
        pending = [stop]
        machineHasStopped(byInterrupt: false)
        return takeOutput()
    }

    /// Says how the run has ended, if the debugger waits for it.
    ///
    /// - Parameter how: The reply, `W` and an exit status or `X` and a signal.
    /// - Returns: What to send.
    package mutating func machineHasEnded(_ how: String) -> [UInt8] {
        if phase == .running { reply(how) }
        phase = .ended
        return takeOutput()
    }

    /// Does what is to be done when the connection has gone without a word: the machine stays as it is, without
    /// breakpoints, and waits for another debugger if it was stopped.
    package mutating func connectionIsLost() {
        let wasRunning = phase == .running
        guard phase == .stopped || wasRunning, target.pause() else { return }
        points.disarm(in: target.memory)
        points.removeAll()
        if wasRunning { letGo() }
    }

    private mutating func letGo() {
        target.resume(
            [DebugControl.Motion](repeating: .running, count: target.vcpuCount), at: DebugControl.Points(),
            isWatched: false)
    }

    /// Notes that all vCPUs are parked, and tells the first stop.
    private mutating func machineHasStopped(byInterrupt: Bool) {
        phase = .stopped
        points.disarm(in: target.memory)
        exitsAtStop = target.exits()
        while let stop = target.takeStop() { pending.append(stop) }
        tellStop(byInterrupt: byInterrupt)
    }

    /// Tells a stop. Of several, those at breakpoints come again by themselves; what a watchpoint has seen does not, and
    /// death neither.
    private mutating func tellStop(byInterrupt: Bool) {
        let stop = pending.isEmpty ? nil : pending.removeFirst()
        pending.removeAll { !Self.isLasting($0.reason) }
        if let stop { lastStopped = stop.vcpu }
        selected = lastStopped
        // SIGSEGV, SIGINT, SIGTRAP.
        let signal = stop?.reason == .death ? "T0b" : byInterrupt && stop == nil ? "T02" : "T05"
        reply(signal + expeditedRegisters + "thread:\(Self.threadNumber(lastStopped));" + reason(of: stop))
    }

    /// Whether a stop does not come again by itself.
    private static func isLasting(_ reason: DebugControl.Reason) -> Bool {
        switch reason {
        case .watch, .death: true
        case .step, .breakpoint: false
        }
    }

    private func reason(of stop: DebugControl.Stop?) -> String {
        switch stop?.reason {
        case .breakpoint(let address):
            if understandsSoftwareBreaks, points.has(.software, at: address) { return "swbreak:;" }
            return understandsHardwareBreaks && points.has(.hardware, at: address) ? "hwbreak:;" : ""
        case .watch(let hit):
            let name: String? =
                switch points.watch(hit)?.kind {
                case .write: "watch"
                case .read: "rwatch"
                case .access: "awatch"
                case .software, .hardware, nil: nil
                }
            return name.map { "\($0):\(String(hit.address, radix: 16));" } ?? ""
        case .step, .death, nil:
            return ""
        }
    }

    /// The registers that the debugger would ask for next: where the vCPU is, and its stack.
    private var expeditedRegisters: String {
        guard let state = target.registers(ofVCPU: lastStopped) else { return "" }
        let names = layout.architecture == .x86_64 ? ["rip", "rsp", "rbp"] : ["eip", "esp", "ebp"]
        return names.compactMap { name in
            layout.number(of: name).map { number in
                let value = layout.value(of: layout.registers[number], in: state)
                return "\(String(number, radix: 16)):\(Hexadecimal.text(value));"
            }
        }.joined()
    }

    /// The reply to `?`.
    var stopReply: String { "T05\(expeditedRegisters)thread:\(Self.threadNumber(lastStopped));" }

    static func threadNumber(_ vcpu: Int) -> String { String(vcpu + 1, radix: 16) }

    /// Lets the machine go on, unless there is a stop to be told first.
    ///
    /// - Returns: The answer; nil when it comes with the next stop.
    mutating func resume(_ motions: [DebugControl.Motion]) -> String? {
        guard motions.contains(where: { $0 != .held }) else { return "E01" }
        pending.removeAll { if case .watch(let hit) = $0.reason { points.watch(hit) == nil } else { false } }
        guard pending.isEmpty else {
            tellStop(byInterrupt: false)
            return nil
        }
        if hasLooked { exitsAtStart = target.exits() }
        hasLooked = false
        let armed = points.arm(in: target.memory, sparing: places)
        phase = .running
        target.resume(motions, at: armed, isWatched: true)
        return nil
    }

    /// Where the vCPUs are.
    private var places: Set<UInt64> {
        Set(
            (0..<target.vcpuCount).compactMap { vcpu in
                target.registers(ofVCPU: vcpu).map { $0.general.linearInstructionPointer($0.special) }
            })
    }

    /// Lets one vCPU execute an instruction while the others run, or all run.
    mutating func resume(steps: Bool, from address: UInt64?) -> String? {
        let vcpu = stepping ?? lastStopped
        if let address {
            guard
                changeRegisters(
                    ofVCPU: vcpu,
                    { layout, state in
                        guard let register = layout.registers.first(where: { $0.isInstructionPointer }) else {
                            return false
                        }
                        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: address >> (8 * UInt64($0))) }
                        layout.set(register, to: bytes.prefix(register.size), in: &state)
                        return true
                    })
            else { return "E16" }
        }
        var motions = [DebugControl.Motion](repeating: .running, count: target.vcpuCount)
        if steps { motions[vcpu] = .stepping }
        return resume(motions)
    }

    /// Takes all breakpoints away and lets the machine run.
    mutating func detach() {
        points.removeAll()
        letGo()
        phase = .detached
    }

    /// Ends the run.
    mutating func kill() {
        target.kill()
        phase = .ended
    }

    // MARK: Points

    /// Sets a point, or takes it away.
    mutating func changePoint(_ request: ArraySlice<UInt8>, sets: Bool) -> String {
        // KIND,ADDRESS,LENGTH, and what else a debugger may say behind semicolons.
        let fields = request.prefix { $0 != UInt8(ascii: ";") }
            .split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard fields.count == 3, let kind = Hexadecimal.number(fields[0]), let address = Hexadecimal.number(fields[1]),
            let length = Hexadecimal.number(fields[2])
        else { return "E01" }
        guard let kind = PointTable.Kind(rawValue: kind) else { return "" }
        let point = PointTable.Point(kind: kind, address: address, length: length)
        guard sets else {
            points.remove(point)
            return "OK"
        }
        let special = target.registers(ofVCPU: selected)?.special
        let physical = special?.pageWalk.translate(address, in: target.memory)
        // With paging, kernels keep to the upper half of the addresses, and programs to the lower.
        let isKernel = special?.pageWalk.mode == PageWalk.Mode.none || Int64(bitPattern: address) < 0
        return switch points.set(point, physical: physical, isKernel: isKernel, in: target.memory) {
        case .set: "OK"
        case .refused: "E1c"
        case .unknown: ""
        }
    }

    // MARK: Registers and memory

    /// How linear addresses are translated for the vCPU that is meant.
    var walk: PageWalk? { target.registers(ofVCPU: selected)?.special.pageWalk }

    /// Changes a vCPU's registers.
    ///
    /// - Returns: Whether they were taken.
    mutating func changeRegisters(
        ofVCPU vcpu: Int, _ change: (RegisterLayout, inout VCPURegisters) -> Bool
    ) -> Bool {
        guard let old = target.registers(ofVCPU: vcpu) else { return false }
        var new = old
        guard change(layout, &new) else { return false }
        return target.setRegisters(new, from: old, ofVCPU: vcpu)
    }
}

extension RegisterLayout.Register {
    /// Whether it is the instruction pointer.
    var isInstructionPointer: Bool { if case .instructionPointer = source { true } else { false } }
}
