@testable import Devices
@testable import Host
@testable import Memory

/// A serial port with everything around it written down.
final class SerialHarness: Sendable {
    struct Record {
        var transmitted: [UInt8] = []
        /// Every change of the interrupt line.
        var levels: [Bool] = []
        var roomNotices = 0
    }

    let port: Serial16550
    private let log: LogBox

    private final class LogBox: Sendable {
        let record = Locked(Record())
    }

    init() {
        let log = LogBox()
        self.log = log
        port = Serial16550(
            interrupt: { level in log.record.withLock { $0.levels.append(level) } },
            transmit: { byte in log.record.withLock { $0.transmitted.append(byte) } },
            roomToReceive: { log.record.withLock { $0.roomNotices += 1 } }
        )
    }

    var transmitted: [UInt8] { log.record.withLock { $0.transmitted } }
    var levels: [Bool] { log.record.withLock { $0.levels } }
    var roomNotices: Int { log.record.withLock { $0.roomNotices } }
    /// The level of the interrupt line.
    var isHigh: Bool { levels.last ?? false }

    func read(_ register: UInt16) -> UInt8 {
        UInt8(truncatingIfNeeded: port.readPort(register, width: .byte))
    }

    func write(_ register: UInt16, _ value: UInt8) {
        port.writePort(register, width: .byte, value: UInt32(value))
    }

    /// Data sheet names of the offsets.
    static let rbr: UInt16 = 0
    static let thr: UInt16 = 0
    static let dll: UInt16 = 0
    static let dlm: UInt16 = 1
    static let ier: UInt16 = 1
    static let iir: UInt16 = 2
    static let fcr: UInt16 = 2
    static let lcr: UInt16 = 3
    static let mcr: UInt16 = 4
    static let lsr: UInt16 = 5
    static let msr: UInt16 = 6
    static let scr: UInt16 = 7

    /// Turns on what a driver turns on: FIFOs with a trigger level (0 to 3), RTS, DTR and OUT2, and interrupts.
    func start(interrupts: UInt8 = 0x05, trigger: UInt8 = 2) {
        write(Self.fcr, trigger << 6 | 0x07)
        write(Self.mcr, 0x0B)
        write(Self.ier, interrupts)
    }
}
