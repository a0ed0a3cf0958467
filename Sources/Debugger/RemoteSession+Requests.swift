import KVM
import Memory
import MiniVMM

/// What the packets ask for.
///
/// The errors are numbers without a meaning to the debugger; here they are those of the system: 01 EPERM for what is not
/// understood, 0e EFAULT for addresses, 16 EINVAL for registers that KVM refuses, 1c ENOSPC for want of debug registers.
extension RemoteSession {
    /// Answers a packet.
    ///
    /// - Returns: The answer, empty for what is not known; nil for none, or one that comes later.
    mutating func answerToRequest(_ payload: ArraySlice<UInt8>) -> String? {
        guard let first = payload.first else { return "" }
        let rest = payload.dropFirst()
        switch Character(Unicode.Scalar(first)) {
        case "?": return stopReply
        case "g": return readRegisters()
        case "G": return writeRegisters(rest)
        case "p": return readRegister(rest)
        case "P": return writeRegister(rest)
        case "m": return readMemory(rest)
        case "M": return writeMemory(rest, isBinary: false)
        case "X": return writeMemory(rest, isBinary: true)
        case "Z": return changePoint(rest, sets: true)
        case "z": return changePoint(rest, sets: false)
        case "c", "s": return plainResume(rest, steps: first == UInt8(ascii: "s"))
        case "H": return select(rest)
        case "T": return vcpu(rest) == nil ? "E01" : "OK"
        case "D":
            detach()
            return "OK"
        case "k":
            kill()
            return nil
        case "v": return answerToNamed(rest)
        case "q", "Q": return answerToQuery(payload)
        default: return ""
        }
    }

    // MARK: Registers

    private func readRegisters() -> String {
        target.registers(ofVCPU: selected).map { Hexadecimal.text(layout.values(in: $0)) } ?? "E16"
    }

    private mutating func writeRegisters(_ text: ArraySlice<UInt8>) -> String {
        guard let bytes = Hexadecimal.bytes(text), bytes.count == layout.size else { return "E01" }
        return changeRegisters(ofVCPU: selected) { $0.set(bytes, in: &$1) } ? "OK" : "E16"
    }

    private func readRegister(_ text: ArraySlice<UInt8>) -> String {
        guard let register = register(text) else { return "E01" }
        return target.registers(ofVCPU: selected)
            .map { Hexadecimal.text(layout.value(of: register, in: $0)) } ?? "E16"
    }

    private mutating func writeRegister(_ text: ArraySlice<UInt8>) -> String {
        let parts = text.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let register = register(parts[0]), let bytes = Hexadecimal.bytes(parts[1]),
            bytes.count == register.size
        else { return "E01" }
        let isSet = changeRegisters(ofVCPU: selected) { layout, state in
            layout.set(register, to: bytes, in: &state)
            return true
        }
        return isSet ? "OK" : "E16"
    }

    private func register(_ text: ArraySlice<UInt8>) -> RegisterLayout.Register? {
        guard let number = Hexadecimal.number(text), number < UInt64(layout.registers.count) else { return nil }
        return layout.registers[Int(number)]
    }

    // MARK: Memory

    private func readMemory(_ text: ArraySlice<UInt8>) -> String {
        guard let (address, count) = Hexadecimal.pair(text) else { return "E01" }
        guard count > 0 else { return "OK" }
        let tables = walk
        guard tables != nil || usesPhysicalAddresses else { return "E16" }
        let bytes = target.read(
            address, Int(min(count, UInt64(Self.maximumRead))), by: usesPhysicalAddresses ? nil : tables)
        return bytes.isEmpty ? "E0e" : Hexadecimal.text(bytes)
    }

    private func writeMemory(_ text: ArraySlice<UInt8>, isBinary: Bool) -> String {
        let parts = text.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let (address, count) = Hexadecimal.pair(parts[0]),
            let bytes = isBinary ? Array(parts[1]) : Hexadecimal.bytes(parts[1]), count == UInt64(bytes.count)
        else { return "E01" }
        let tables = walk
        guard tables != nil || usesPhysicalAddresses else { return "E16" }
        return target.write(bytes, address, by: usesPhysicalAddresses ? nil : tables) ? "OK" : "E0e"
    }

    // MARK: Going on

    private mutating func plainResume(_ text: ArraySlice<UInt8>, steps: Bool) -> String? {
        guard text.isEmpty || Hexadecimal.number(text) != nil else { return "E01" }
        return resume(steps: steps, from: Hexadecimal.number(text))
    }

    private mutating func answerToNamed(_ payload: ArraySlice<UInt8>) -> String? {
        let fields = payload.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
        switch fields.first.map({ String(decoding: $0, as: UTF8.self) }) {
        case "Cont?": return "vCont;c;C;s;S"
        case "Cont": return resume(byActions: fields.dropFirst())
        case "Kill":
            kill()
            // The debugger waits for it.
            return "OK"
        default: return ""
        }
    }

    /// Lets each vCPU do what the first action that names it says; what none names, stays.
    private mutating func resume(byActions actions: ArraySlice<ArraySlice<UInt8>>) -> String? {
        var motions = [DebugControl.Motion?](repeating: nil, count: target.vcpuCount)
        for action in actions {
            let parts = action.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            let motion: DebugControl.Motion
            switch parts.first?.first {
            // A signal is nothing that a processor gets.
            case UInt8(ascii: "c"), UInt8(ascii: "C"): motion = .running
            case UInt8(ascii: "s"), UInt8(ascii: "S"): motion = .stepping
            default: return "E01"
            }
            guard parts.count == 2, !Self.meansAll(parts[1]) else {
                motions = motions.map { $0 ?? motion }
                continue
            }
            guard let vcpu = vcpu(parts[1]) else { return "E01" }
            motions[vcpu] = motions[vcpu] ?? motion
        }
        return resume(motions.map { $0 ?? .held })
    }

    // MARK: Threads

    private static func meansAll(_ text: ArraySlice<UInt8>) -> Bool { text.elementsEqual("-1".utf8) }

    /// The vCPU of a thread's number; any for 0.
    func vcpu(_ text: ArraySlice<UInt8>) -> Int? {
        guard let number = Hexadecimal.number(text), number <= UInt64(target.vcpuCount) else { return nil }
        return number == 0 ? selected : Int(number) - 1
    }

    private mutating func select(_ text: ArraySlice<UInt8>) -> String {
        let thread = text.dropFirst()
        switch text.first {
        case UInt8(ascii: "g"):
            guard !Self.meansAll(thread) else { return "OK" }
            guard let vcpu = vcpu(thread) else { return "E01" }
            selected = vcpu
        case UInt8(ascii: "c"):
            guard !Self.meansAll(thread) else {
                stepping = nil
                return "OK"
            }
            guard let vcpu = vcpu(thread) else { return "E01" }
            stepping = Hexadecimal.number(thread) == 0 ? nil : vcpu
        default: return "E01"
        }
        return "OK"
    }
}
