import Host
package import Memory

/// The registers of an 8259A, as a BIOS leaves them, of a controller that nothing interrupts: a guest that programs it
/// finds what it has written.
///
/// Two ports: 0 takes ICW1, OCW2 and OCW3, and reads as the request or the service register, in which nothing is ever set;
/// 1 takes ICW2 to ICW4 after an ICW1, and is the mask otherwise. Where KVM has interrupt controllers, this sees no access.
///
/// Source: Intel 8259A data sheet.
///
/// State is kept in order by a lock.
package final class InterruptControllerRegisters: PortIODevice {
    private struct State {
        var mask: UInt8
        /// The initialization word that comes next, 2 to 4; 0 for none.
        var nextWord = 0
        var isSingle = false
        var wantsFourthWord = false
    }

    private let state: Locked<State>

    private static let initialize: UInt8 = 0x10
    private static let single: UInt8 = 0x02
    private static let fourthWord: UInt8 = 0x01

    /// Makes the registers.
    ///
    /// - Parameter mask: The lines that are masked at first.
    package init(mask: UInt8) {
        state = Locked(State(mask: mask))
    }

    /// Reads the mask, or that nothing is pending.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        offset == 1 ? UInt32(state.withLock { $0.mask }) : 0
    }

    /// Writes a command or a mask.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        let byte = UInt8(truncatingIfNeeded: value)
        state.withLock { state in
            guard offset == 1 else {
                guard byte & Self.initialize != 0 else { return }
                state.mask = 0
                state.nextWord = 2
                state.isSingle = byte & Self.single != 0
                state.wantsFourthWord = byte & Self.fourthWord != 0
                return
            }
            let last = state.wantsFourthWord ? 4 : 0
            switch state.nextWord {
            case 2: state.nextWord = state.isSingle ? last : 3
            case 3: state.nextWord = last
            case 4: state.nextWord = 0
            default: state.mask = byte
            }
        }
    }
}

/// The two interrupt controllers of a PC, for guests that have none of KVM's.
public struct InterruptControllers: Component {
    /// Where a PC has them.
    package static let ports: (first: ClosedRange<UInt16>, second: ClosedRange<UInt16>) = (0x20...0x21, 0xA0...0xA1)
    /// What a BIOS masks: all but the timer, the keyboard, the second controller and the floppy disk; all but the mouse,
    /// the coprocessor and the hard disk.
    private static let masks: (first: UInt8, second: UInt8) = (0xB8, 0x8F)

    /// The controllers.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        attachments.ports(
            InterruptControllerRegisters(mask: Self.masks.first), named: "first PIC", at: Self.ports.first)
        attachments.ports(
            InterruptControllerRegisters(mask: Self.masks.second), named: "second PIC", at: Self.ports.second)
    }
}
