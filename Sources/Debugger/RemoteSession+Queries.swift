import Counters
import KVM
import Memory
import MiniVMM

/// The general queries, and the commands that a person gives with `monitor`.
extension RemoteSession {
    mutating func answerToQuery(_ payload: ArraySlice<UInt8>) -> String? {
        let text = String(decoding: payload, as: UTF8.self)
        let name = text.prefix { $0 != ":" && $0 != "," }
        switch name {
        case "qSupported": return supported(text)
        case "QStartNoAckMode":
            stopAcknowledging()
            return "OK"
        case "qXfer": return transfer(payload)
        case "qAttached": return "1"
        case "qC": return "QC\(Self.threadNumber(selected))"
        case "qfThreadInfo":
            // As many as fit; a machine has fewer.
            return "m" + (0..<min(target.vcpuCount, 1024)).map { Self.threadNumber($0) }.joined(separator: ",")
        case "qsThreadInfo": return "l"
        case "qThreadExtraInfo":
            guard let vcpu = vcpu(payload.dropFirst("qThreadExtraInfo,".utf8.count)) else { return "E01" }
            return Hexadecimal.text(description(ofVCPU: vcpu).utf8)
        case "qSymbol": return "OK"
        case "qRcmd":
            guard let command = Hexadecimal.bytes(payload.dropFirst("qRcmd,".utf8.count)) else { return "E01" }
            return monitor(String(decoding: command, as: UTF8.self))
        // QEMU's way to physical memory, which people know: `maintenance packet Qqemu.PhyMemMode:1`.
        case "qqemu.PhyMemMode": return usesPhysicalAddresses ? "1" : "0"
        case "Qqemu.PhyMemMode":
            usesPhysicalAddresses = text.hasSuffix(":1")
            return "OK"
        default: return ""
        }
    }

    private mutating func supported(_ text: String) -> String {
        let features = text.split(separator: ":").dropFirst().joined().split(separator: ";")
        understandsSoftwareBreaks = features.contains("swbreak+")
        understandsHardwareBreaks = features.contains("hwbreak+")
        var answer = [
            "PacketSize=\(String(Self.packetSize, radix: 16))", "QStartNoAckMode+", "qXfer:features:read+",
            "vContSupported+",
        ]
        if understandsSoftwareBreaks { answer.append("swbreak+") }
        if understandsHardwareBreaks { answer.append("hwbreak+") }
        return answer.joined(separator: ";")
    }

    /// `qXfer:features:read:target.xml:OFFSET,LENGTH`.
    private func transfer(_ payload: ArraySlice<UInt8>) -> String {
        let fields = payload.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard fields.count == 5, fields[1].elementsEqual("features".utf8), fields[2].elementsEqual("read".utf8) else {
            return ""
        }
        guard fields[3].elementsEqual("target.xml".utf8) else { return "E00" }
        guard let (offset, length) = Hexadecimal.pair(fields[4]) else { return "E00" }
        let document = Array(layout.description.utf8)
        guard offset < UInt64(document.count) else { return "l" }
        // The description needs no escapes but for a few bytes.
        let rest = document.dropFirst(Int(offset))
        let part = rest.prefix(Int(min(length, UInt64(Self.packetSize / 2))))
        return (part.count == rest.count ? "l" : "m") + String(decoding: part, as: UTF8.self)
    }

    /// A vCPU in words.
    private func description(ofVCPU vcpu: Int) -> String {
        var parts = ["vCPU \(vcpu)"]
        if let state = target.registers(ofVCPU: vcpu) {
            parts.append(VCPUSnapshot.Mode(special: state.special, rflags: state.general.rflags).rawValue)
        }
        switch target.waitState(ofVCPU: vcpu)?.activity {
        case .halted: parts.append("halted")
        case .waitsForStart: parts.append("not started")
        case .runs, nil: break
        }
        return parts.joined(separator: ", ")
    }

    // MARK: monitor

    /// Carries out a command of a person.
    ///
    /// - Returns: The answer, in hexadecimal.
    private func monitor(_ command: String) -> String {
        let words = command.split { $0 == " " || $0 == "\t" }
        let text =
            switch words.first {
            case "exits" where words.count == 1: exitsText
            case "physical" where words.count == 3: physicalText(words[1], words[2])
            case "registers" where words.count == 1: registersText
            case "help" where words.count == 1: Self.monitorHelp
            default: "Not understood: \(command.prefix(80))\n" + Self.monitorHelp
            }
        return Hexadecimal.text(text.utf8.prefix(Self.packetSize / 2))
    }

    private static var monitorHelp: String {
        """
        exits                   the guest's exits between the last two stops
        physical ADDRESS COUNT  bytes of physical memory; numbers are decimal, or hexadecimal after 0x
        registers               the segment and control registers, and CS:IP as the guest has them
        help                    this

        """
    }

    /// The exits between the last two stops, those that MiniVMM caused itself apart.
    private var exitsText: String {
        func row(_ name: String, _ exits: UInt64, _ cycles: UInt64?) -> String {
            let count = String(exits)
            return name.padded(to: 18) + String(repeating: " ", count: max(1, 14 - count.count)) + count
                + " exits" + (cycles.map { "  \($0) cycles" } ?? "") + "\n"
        }
        var text = ""
        for kind in exitsAtStop.kinds {
            let before = exitsAtStart.kinds.first { $0.kind == kind.kind }
            let exits = kind.exits &- (before?.exits ?? 0)
            guard exits > 0 else { continue }
            text += row(kind.kind.name, exits, kind.serviceCycles &- (before?.serviceCycles ?? 0))
        }
        text += row(
            "total", exitsAtStop.exits &- exitsAtStart.exits,
            exitsAtStop.serviceCycles &- exitsAtStart.serviceCycles)
        if let settled = exitsAtStop.kernelSettled?.exits {
            text += row("(settled by KVM)", settled &- (exitsAtStart.kernelSettled?.exits ?? 0), nil)
        }
        let own = exitsAtStop.internalExits &- exitsAtStart.internalExits
        return text + row("(MiniVMM's own)", own, exitsAtStop.internalCycles &- exitsAtStart.internalCycles)
    }

    private func physicalText(_ address: Substring, _ count: Substring) -> String {
        guard let address = Self.number(address), let count = Self.number(count), count > 0 else {
            return "ADDRESS and COUNT are numbers.\n"
        }
        let bytes = target.read(address, Int(min(count, 1024)), by: nil)
        guard !bytes.isEmpty else { return "There is no memory at 0x\(String(address, radix: 16)).\n" }
        return stride(from: 0, to: bytes.count, by: 16).map { offset in
            let line = bytes[offset..<min(offset + 16, bytes.count)].map { Hexadecimal.text([$0]) }
            return "0x\(String(address &+ UInt64(offset), radix: 16)): \(line.joined(separator: " "))\n"
        }.joined()
    }

    private static func number(_ text: Substring) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    private var registersText: String {
        guard let state = target.registers(ofVCPU: selected) else { return "KVM does not hand out the registers.\n" }
        let snapshot = VCPUSnapshot(registers: state.general, special: state.special, memory: target.memory)
        func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
        var lines = ["vCPU \(selected), \(snapshot.mode.rawValue), ring \(snapshot.privilegeLevel)"]
        lines.append(
            "cs:ip \(hex(UInt64(state.special.cs.selector))):\(hex(state.general.rip)), linear "
                + hex(snapshot.linearInstructionPointer))
        lines += snapshot.segments.map {
            "\($0.name.padded(to: 4)) \(hex(UInt64($0.selector))) base \(hex($0.base)) limit \(hex(UInt64($0.limit)))"
        }
        lines.append("gdt  base \(hex(state.special.gdt.base)) limit \(hex(UInt64(state.special.gdt.limit)))")
        lines.append("idt  base \(hex(state.special.idt.base)) limit \(hex(UInt64(state.special.idt.limit)))")
        lines += snapshot.control.map { "\($0.name.padded(to: 4)) \(hex($0.value))" }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension String {
    /// With spaces behind it, up to a width.
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
