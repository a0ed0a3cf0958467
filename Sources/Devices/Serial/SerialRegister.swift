/// The registers of a 16550A and the bits in them.
///
/// Source: National Semiconductor PC16550D data sheet, section 8 "Registers". The names in parentheses are those of the
/// data sheet.
enum SerialRegister {
    /// Received byte (RBR) on reads, byte to transmit (THR) on writes, low byte of the divisor (DLL) with DLAB.
    package static let data: UInt16 = 0
    /// Interrupt enable (IER), high byte of the divisor (DLM) with DLAB.
    static let interruptEnable: UInt16 = 1
    /// Interrupt identification (IIR) on reads, FIFO control (FCR) on writes.
    static let interruptIdentification: UInt16 = 2
    /// Line control (LCR).
    static let lineControl: UInt16 = 3
    /// Modem control (MCR).
    static let modemControl: UInt16 = 4
    /// Line status (LSR).
    static let lineStatus: UInt16 = 5
    /// Modem status (MSR).
    static let modemStatus: UInt16 = 6
    /// Scratch (SCR).
    static let scratch: UInt16 = 7

    /// The divisor latch access bit (DLAB) of the line control register.
    static let divisorLatchAccess: UInt8 = 0x80

    /// Which events raise the interrupt line.
    struct InterruptEnable: OptionSet, Sendable {
        package let rawValue: UInt8
        /// A byte has arrived, or some have waited in the FIFO for too long (ERBFI).
        static let received = Self(rawValue: 0x01)
        /// The transmitter can take another byte (ETBEI).
        static let holdingEmpty = Self(rawValue: 0x02)
        /// An error or a break (ELSI).
        static let lineStatus = Self(rawValue: 0x04)
        /// A modem line has changed (EDSSI).
        static let modemStatus = Self(rawValue: 0x08)
        /// The bits that exist; the upper half reads as zeros.
        package static let all: Self = [.received, .holdingEmpty, .lineStatus, .modemStatus]
    }

    /// The event that the interrupt identification register names. Lower bits than 4 only.
    enum InterruptIdentification {
        static let modemStatus: UInt8 = 0x00
        package static let none: UInt8 = 0x01
        static let holdingEmpty: UInt8 = 0x02
        static let received: UInt8 = 0x04
        static let lineStatus: UInt8 = 0x06
        static let characterTimeout: UInt8 = 0x0C
        /// Set in addition while the FIFOs are on.
        static let fifosEnabled: UInt8 = 0xC0
    }

    /// What the FIFO control register commands.
    struct FIFOControl: OptionSet, Sendable {
        package let rawValue: UInt8
        package static let enable = Self(rawValue: 0x01)
        static let resetReceiver = Self(rawValue: 0x02)
        static let resetTransmitter = Self(rawValue: 0x04)

        /// The bytes in the receiver's FIFO that raise the interrupt: bits 6 and 7.
        var triggerLevel: Int {
            switch rawValue >> 6 {
            case 0: 1
            case 1: 4
            case 2: 8
            default: 14
            }
        }
    }

    /// The modem's lines that the guest sets.
    struct ModemControl: OptionSet, Sendable {
        package let rawValue: UInt8
        static let dataTerminalReady = Self(rawValue: 0x01)
        static let requestToSend = Self(rawValue: 0x02)
        static let out1 = Self(rawValue: 0x04)
        /// On a PC this line connects the interrupt output to the interrupt controller.
        static let out2 = Self(rawValue: 0x08)
        static let loopback = Self(rawValue: 0x10)
        /// The bits that exist; the others read as zeros.
        package static let all: Self = [.dataTerminalReady, .requestToSend, .out1, .out2, .loopback]
    }

    /// The state of the receiver and the transmitter.
    struct LineStatus: OptionSet, Sendable {
        package let rawValue: UInt8
        static let dataReady = Self(rawValue: 0x01)
        static let overrun = Self(rawValue: 0x02)
        static let parity = Self(rawValue: 0x04)
        static let framing = Self(rawValue: 0x08)
        static let breakSignal = Self(rawValue: 0x10)
        static let holdingEmpty = Self(rawValue: 0x20)
        static let transmitterEmpty = Self(rawValue: 0x40)
        static let fifoError = Self(rawValue: 0x80)

        /// The errors that belong to one byte; an overrun belongs to none.
        static let ofOneByte: Self = [.parity, .framing, .breakSignal]
    }

    /// The modem's lines that the guest sees: levels in the upper half, changes since the last read in the lower.
    struct ModemStatus: OptionSet, Sendable {
        package let rawValue: UInt8
        static let clearToSendChanged = Self(rawValue: 0x01)
        static let dataSetReadyChanged = Self(rawValue: 0x02)
        static let ringEnded = Self(rawValue: 0x04)
        static let carrierDetectChanged = Self(rawValue: 0x08)
        static let clearToSend = Self(rawValue: 0x10)
        static let dataSetReady = Self(rawValue: 0x20)
        package static let ring = Self(rawValue: 0x40)
        static let carrierDetect = Self(rawValue: 0x80)

        /// The changes that going from one set of levels to another makes.
        package static func changes(from old: Self, to new: Self) -> Self {
            // Each change but the ring's stands 4 bits below its level.
            var changes = Self(rawValue: (old.rawValue ^ new.rawValue) >> 4)
            // The ring's is set by the end of a ring only (TERI).
            if new.contains(.ring) { changes.remove(.ringEnded) }
            return changes
        }
    }
}
