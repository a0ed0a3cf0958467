import Host
package import Memory

/// An 8042 keyboard controller with nothing plugged in: what it is good for is the reset line.
///
/// Ports: 0x60 data, 0x64 status on reads and commands on writes. Port 0x61, which lies between, is KVM's. The two are
/// devices of their own on the bus, ``data`` and ``command``, with this object behind both.
///
/// Linux guests are told by ACPI that there is no keyboard controller (``ACPITables``), and so probe nothing; resetting
/// through it works all the same. A guest that looks without asking finds a controller that passes its self-test, has
/// no auxiliary port, and never has a key: Linux's driver is then through without an error and without waiting
/// (i8042_check_aux() and i8042_controller_init() in drivers/input/serio/i8042.c).
///
/// Not emulated: the interrupts 1 and 12 (nothing would raise them), and the A20 gate, which is always open.
///
/// Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
///
/// State is kept in order by a lock. The closure is called without it.
package final class KeyboardController: Sendable {
    /// Bits of the status register.
    private enum Status {
        static let outputFull: UInt8 = 0x01
        /// The self-test has been passed.
        static let system: UInt8 = 0x04
        /// The last write was a command.
        static let command: UInt8 = 0x08
        /// The keyboard is not locked.
        static let unlocked: UInt8 = 0x10
    }

    /// Commands on port 0x64.
    private enum Command {
        static let readMemory: ClosedRange<UInt8> = 0x20...0x3F
        static let writeMemory: ClosedRange<UInt8> = 0x60...0x7F
        static let testAuxiliaryPort: UInt8 = 0xA9
        static let selfTest: UInt8 = 0xAA
        static let testKeyboardPort: UInt8 = 0xAB
        static let disableKeyboard: UInt8 = 0xAD
        static let enableKeyboard: UInt8 = 0xAE
        static let readInputPort: UInt8 = 0xC0
        static let readOutputPort: UInt8 = 0xD0
        static let writeOutputPort: UInt8 = 0xD1
        static let writeKeyboardOutput: UInt8 = 0xD2
        static let writeAuxiliaryOutput: UInt8 = 0xD3
        static let writeAuxiliaryDevice: UInt8 = 0xD4
        /// Pulses the lines of the output port whose bit in the command is 0.
        static let pulseOutput: ClosedRange<UInt8> = 0xF0...0xFF
    }

    /// The output port's line, and the pulse command's bit, that resets the processors when low.
    private static let resetLine: UInt8 = 0x01
    private static let a20Line: UInt8 = 0x02
    private static let selfTestPassed: UInt8 = 0x55
    private static let portTestPassed: UInt8 = 0x00
    /// Nothing holds the clock line of the auxiliary port up, for there is no such port.
    private static let clockStuckLow: UInt8 = 0x01
    /// Bit 7 of the input port: the keyboard is not locked.
    private static let inputPort: UInt8 = 0x80
    /// The command byte's bits for "keyboard disabled" and, as firmware leaves it: auxiliary port disabled, system
    /// flag, translation on.
    private static let keyboardDisabled: UInt8 = 0x10
    private static let initialCommandByte: UInt8 = 0x64

    private struct State {
        /// The controller's memory, of which byte 0 is the command byte.
        var memory: [UInt8]
        var output: UInt8 = 0
        var isOutputFull = false
        /// The command that waits for a byte on the data port.
        var waiting: UInt8?
        var lastWasCommand = false

        mutating func answer(_ byte: UInt8) {
            output = byte
            isOutputFull = true
        }
    }

    private let state: Locked<State>
    private let reset: @Sendable () -> Void

    /// Makes a controller.
    ///
    /// - Parameter reset: Called when the guest pulls the reset line.
    package init(reset: @escaping @Sendable () -> Void) {
        var memory = [UInt8](repeating: 0, count: Command.readMemory.count)
        memory[0] = Self.initialCommandByte
        state = Locked(State(memory: memory))
        self.reset = reset
    }

    /// The data port, to be attached at ``Keyboard/dataPort``.
    package var data: DataPort { DataPort(self) }

    /// The status and command port, to be attached at ``Keyboard/commandPort``.
    package var command: CommandPort { CommandPort(self) }
}

// MARK: What the ports do

extension KeyboardController {
    private var status: UInt8 {
        state.withLock { state in
            var status = Status.unlocked | (state.memory[0] & Status.system)
            if state.isOutputFull { status |= Status.outputFull }
            if state.lastWasCommand { status |= Status.command }
            return status
        }
    }

    private func readData() -> UInt8 {
        state.withLock { state in
            state.isOutputFull = false
            return state.output
        }
    }

    private func writeCommand(_ command: UInt8) {
        state.withLock { state in
            state.lastWasCommand = true
            state.waiting = nil
            switch command {
            case Command.readMemory: state.answer(state.memory[Int(command & 0x1F)])
            case Command.testAuxiliaryPort: state.answer(Self.clockStuckLow)
            case Command.selfTest:
                state.memory[0] |= Status.system
                state.answer(Self.selfTestPassed)
            case Command.testKeyboardPort: state.answer(Self.portTestPassed)
            case Command.disableKeyboard: state.memory[0] |= Self.keyboardDisabled
            case Command.enableKeyboard: state.memory[0] &= ~Self.keyboardDisabled
            case Command.readInputPort: state.answer(Self.inputPort)
            case Command.readOutputPort: state.answer(Self.resetLine | Self.a20Line)
            case Command.writeMemory, Command.writeOutputPort, Command.writeKeyboardOutput,
                Command.writeAuxiliaryOutput, Command.writeAuxiliaryDevice:
                state.waiting = command
            default: break
            }
        }
        if Command.pulseOutput.contains(command), command & Self.resetLine == 0 { reset() }
    }

    private func writeData(_ byte: UInt8) {
        let resets = state.withLock { state in
            state.lastWasCommand = false
            guard let command = state.waiting else {
                // For the keyboard, which there is none of.
                return false
            }
            state.waiting = nil
            switch command {
            case Command.writeMemory: state.memory[Int(command & 0x1F)] = byte
            // Without an auxiliary port the byte comes back as if from the keyboard, by which drivers notice.
            case Command.writeKeyboardOutput, Command.writeAuxiliaryOutput: state.answer(byte)
            case Command.writeOutputPort: return byte & Self.resetLine == 0
            default: break
            }
            return false
        }
        if resets { reset() }
    }
}

// MARK: The ports

extension KeyboardController {
    /// Port 0x60: a byte from the controller, or one for it.
    package final class DataPort: PortIODevice {
        private let controller: KeyboardController

        fileprivate init(_ controller: KeyboardController) {
            self.controller = controller
        }

        /// Takes the byte out of the output buffer.
        package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
            UInt32(controller.readData())
        }

        /// Writes the byte that a command waits for, or one for the keyboard.
        package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
            controller.writeData(UInt8(truncatingIfNeeded: value))
        }
    }

    /// Port 0x64: the status on reads, a command on writes.
    package final class CommandPort: PortIODevice {
        private let controller: KeyboardController

        fileprivate init(_ controller: KeyboardController) {
            self.controller = controller
        }

        /// Reads the status.
        package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
            UInt32(controller.status)
        }

        /// Gives a command.
        package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
            controller.writeCommand(UInt8(truncatingIfNeeded: value))
        }
    }
}

// MARK: The component

/// The keyboard controller, by which a guest resets the machine. ACPI says that there is none, so that Linux does not
/// look for keyboards.
public struct Keyboard: Component {
    /// Where a PC has the data port.
    package static let dataPort: UInt16 = 0x60
    /// Where a PC has the status and command port.
    package static let commandPort: UInt16 = 0x64

    /// The controller.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let end = attachments.machine.end
        let controller = KeyboardController { end(.reset) }
        attachments.ports(controller.data, named: "keyboard data", at: Self.dataPort...Self.dataPort)
        attachments.ports(controller.command, named: "keyboard command", at: Self.commandPort...Self.commandPort)
    }
}
