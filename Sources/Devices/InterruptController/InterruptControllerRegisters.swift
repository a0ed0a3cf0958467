import Host
package import Memory

/// An 8259A, as a BIOS leaves it, for machines in which KVM has none.
///
/// Two ports: 0 takes ICW1, OCW2 and OCW3, and reads as the request or the service register; 1 takes ICW2 to ICW4 after an
/// ICW1, and is the mask otherwise. All lines are edge-triggered. Where KVM has interrupt controllers, this sees no access.
///
/// Source: Intel 8259A data sheet.
///
/// Not emulated: rotating priorities, the special mask mode, polling.
///
/// State is kept in order by a lock. The closure is called on the thread of the vCPU that writes.
package final class InterruptControllerRegisters: PortIODevice {
    private struct State {
        var mask: UInt8
        /// The vector of line 0; the lowest three bits are 0.
        var firstVector: UInt8
        /// The lines that have risen, and those whose interrupts are being handled.
        var requested: UInt8 = 0
        var inService: UInt8 = 0
        /// The initialization word that comes next, 2 to 4; 0 for none.
        var nextWord = 0
        var isSingle = false
        var wantsFourthWord = false
        var endsByItself = false
        var readsService = false

        /// The line whose interrupt comes next: the lowest that is not masked, if none as low is being handled.
        var next: UInt8? {
            let lines = requested & ~mask
            guard lines != 0 else { return nil }
            let line = UInt8(lines.trailingZeroBitCount)
            return inService & (1 << (line + 1) &- 1) == 0 ? line : nil
        }
    }

    private let state: Locked<State>
    private let onWrite: @Sendable () -> Void

    private static let initialize: UInt8 = 0x10
    private static let single: UInt8 = 0x02
    private static let fourthWord: UInt8 = 0x01
    private static let automaticEnd: UInt8 = 0x02
    /// Bit 3 without bit 4: OCW3, whose bits 1:0 choose what is read.
    private static let thirdCommand: UInt8 = 0x08
    private static let readRequested: UInt8 = 0x02
    private static let readService: UInt8 = 0x03
    /// Bits 6:5 of OCW2. Bit 7 rotates priorities besides.
    private static let endOfInterrupt: UInt8 = 0b01
    private static let specificEnd: UInt8 = 0b11

    /// Makes a controller.
    ///
    /// - Parameters:
    ///   - mask: The lines that are masked at first.
    ///   - firstVector: The vector of its line 0.
    ///   - onWrite: Called when a guest begins to use it: at every write.
    package init(mask: UInt8, firstVector: UInt8 = 0x08, onWrite: @escaping @Sendable () -> Void = {}) {
        state = Locked(State(mask: mask, firstVector: firstVector))
        self.onWrite = onWrite
    }

    /// Reads the mask, or what is pending or being handled.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        state.withLock { state in
            if offset == 1 { return UInt32(state.mask) }
            return UInt32(state.readsService ? state.inService : state.requested)
        }
    }

    /// Writes a command or a mask.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        let byte = UInt8(truncatingIfNeeded: value)
        state.withLock { state in
            if offset == 1 { Self.writeData(byte, &state) } else { Self.writeCommand(byte, &state) }
        }
        onWrite()
    }

    private static func writeCommand(_ byte: UInt8, _ state: inout State) {
        if byte & initialize != 0 {
            state = State(mask: 0, firstVector: state.firstVector)
            state.nextWord = 2
            state.isSingle = byte & single != 0
            state.wantsFourthWord = byte & fourthWord != 0
        } else if byte & thirdCommand != 0 {
            switch byte & 3 {
            case readRequested: state.readsService = false
            case readService: state.readsService = true
            default: break
            }
        } else {
            switch byte >> 5 & 3 {
            // The lowest that is being handled.
            case endOfInterrupt: state.inService &= state.inService &- 1
            case specificEnd: state.inService &= ~(1 << (byte & 7))
            default: break
            }
        }
    }

    private static func writeData(_ byte: UInt8, _ state: inout State) {
        let last = state.wantsFourthWord ? 4 : 0
        switch state.nextWord {
        case 2:
            state.firstVector = byte & ~7
            state.nextWord = state.isSingle ? last : 3
        case 3: state.nextWord = last
        case 4:
            state.endsByItself = byte & automaticEnd != 0
            state.nextWord = 0
        default: state.mask = byte
        }
    }

    // MARK: The side of the lines and of the processor

    /// Whether an interrupt of a line could come through now.
    package func admits(_ line: UInt8) -> Bool {
        state.withLock { state in
            var state = state
            state.requested = 1 << line
            return state.next == line
        }
    }

    /// Notes that a line has risen.
    package func raise(_ line: UInt8) {
        state.withLock { $0.requested |= 1 << line }
    }

    /// Sets a line that stays as it is until it is set again.
    func set(_ line: UInt8, to isHigh: Bool) {
        state.withLock { state in
            if isHigh { state.requested |= 1 << line } else { state.requested &= ~(1 << line) }
        }
    }

    /// Whether an interrupt is to be delivered.
    package var isPending: Bool { state.withLock { $0.next != nil } }

    /// The vector of a line.
    package func vector(of line: UInt8) -> UInt8 {
        state.withLock { $0.firstVector | line & 7 }
    }

    /// Delivers the interrupt that comes next.
    ///
    /// - Returns: Its vector; nil when there is none.
    package func acknowledge() -> UInt8? {
        state.withLock { state in
            guard let line = state.next else { return nil }
            state.requested &= ~(1 << line)
            if !state.endsByItself { state.inService |= 1 << line }
            return state.firstVector | line
        }
    }
}

/// The two controllers of a PC, with lines 0 to 15. The second hangs on line 2 of the first.
///
/// Source: Intel 8259A data sheet, "The cascade buffer/comparator"; IBM PC AT Technical Reference, "Hardware interrupt
/// listing".
package struct CascadedControllers: Sendable {
    private let first: InterruptControllerRegisters
    private let second: InterruptControllerRegisters

    private static let cascade: UInt8 = 2
    private static let lineCount: UInt8 = 8
    /// What the second says when there is none any more.
    private static let spurious: UInt8 = 7

    /// The given controllers.
    package init(first: InterruptControllerRegisters, second: InterruptControllerRegisters) {
        self.first = first
        self.second = second
    }

    private func controller(of line: UInt8) -> InterruptControllerRegisters { line < Self.lineCount ? first : second }

    /// Whether an interrupt of a line could come through now.
    package func admits(_ line: UInt8) -> Bool {
        controller(of: line).admits(line & 7) && (line < Self.lineCount || first.admits(Self.cascade))
    }

    /// Notes that a line has risen.
    package func raise(_ line: UInt8) { controller(of: line).raise(line & 7) }

    /// The vector of a line.
    package func vector(of line: UInt8) -> UInt8 { controller(of: line).vector(of: line) }

    /// Whether an interrupt is to be delivered.
    package var isPending: Bool {
        first.set(Self.cascade, to: second.isPending)
        return first.isPending
    }

    /// Delivers the interrupt that comes next.
    ///
    /// - Returns: Its vector; nil when there is none.
    package func acknowledge() -> UInt8? {
        first.set(Self.cascade, to: second.isPending)
        guard let vector = first.acknowledge() else { return nil }
        guard vector & 7 == Self.cascade else { return vector }
        return second.acknowledge() ?? second.vector(of: Self.spurious)
    }
}

/// The two interrupt controllers of a PC, for guests that have none of KVM's.
public struct InterruptControllers: Component {
    /// Where a PC has them.
    package static let ports: (first: ClosedRange<UInt16>, second: ClosedRange<UInt16>) = (0x20...0x21, 0xA0...0xA1)
    /// What a BIOS masks: all but the timer, the keyboard, the second controller and the floppy disk; all but the mouse,
    /// the coprocessor and the hard disk.
    private static let masks: (first: UInt8, second: UInt8) = (0xB8, 0x8F)
    /// Where a BIOS puts their vectors.
    package static let vectors: (first: UInt8, second: UInt8) = (0x08, 0x70)

    /// The controllers.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let ticks = attachments.machine.ticks
        let first = InterruptControllerRegisters(
            mask: Self.masks.first, firstVector: Self.vectors.first, onWrite: ticks.turnOn)
        let second = InterruptControllerRegisters(
            mask: Self.masks.second, firstVector: Self.vectors.second, onWrite: ticks.turnOn)
        attachments.ports(first, named: "first PIC", at: Self.ports.first)
        attachments.ports(second, named: "second PIC", at: Self.ports.second)
        attachments.interruptControllers = CascadedControllers(first: first, second: second)
    }
}
