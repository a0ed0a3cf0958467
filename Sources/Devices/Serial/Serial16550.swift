package import Host
package import Memory
import Synchronization

/// A serial port: a 16550A with FIFOs, interrupts and loopback.
///
/// Register map, by offset (details in ``SerialRegister``):
///
///     0  RBR on reads, THR on writes; DLL with DLAB
///     1  IER; DLM with DLAB
///     2  IIR on reads, FCR on writes
///     3  LCR
///     4  MCR
///     5  LSR
///     6  MSR
///     7  SCR
///
/// Source: National Semiconductor PC16550D data sheet. It is written so that Linux's 8250 driver (autoconfig() and
/// serial8250_do_startup() in drivers/tty/serial/8250/8250_port.c) takes it for a 16550A without bugs. A guest that
/// uses no interrupts finds the transmitter always empty.
///
/// Not emulated: parity and framing errors (the line makes none), and the time that bytes take.
///
/// State is kept in order by a lock that is held for some tens of instructions, and for the call to the interrupt line.
/// All other closures are called without it, on the thread that causes them.
package final class Serial16550: PortIODevice {
    private struct State {
        var registers = SerialRegisterFile()
        var line: LevelLatch
    }

    private let state: Locked<State>
    private let transmit: @Sendable (UInt8) -> Void
    private let roomToReceive: @Sendable () -> Void
    /// Notes every arrival of input, and its end, for firmware that waits for some.
    package let arrivals = ConditionSignal()
    private let hasEnded = Atomic(false)

    /// Makes a serial port.
    ///
    /// - Parameters:
    ///   - interrupt: Raises or lowers the interrupt line; called on changes only, in their order, with the port's lock
    ///     held. It must not call the port.
    ///   - transmit: Takes each byte that the guest sends, on the vCPU's thread: it should put the byte into a buffer,
    ///     for while it waits the guest does.
    ///   - roomToReceive: Called once after ``receive(_:)`` has taken less than it was given, or after
    ///     ``isReadyToReceive()`` has said no, when it would take more. It runs on the vCPU's thread, and should no more
    ///     than wake the feeder.
    package init(
        interrupt: @escaping @Sendable (Bool) -> Void,
        transmit: @escaping @Sendable (UInt8) -> Void,
        roomToReceive: @escaping @Sendable () -> Void = {}
    ) {
        state = Locked(State(line: LevelLatch(interrupt)))
        self.transmit = transmit
        self.roomToReceive = roomToReceive
    }

    /// Gives the guest bytes from the line: as many as fit into the FIFO, which are 16 at most.
    ///
    /// What does not fit waits outside, as behind a line with flow control, and nothing gets lost: not what comes early
    /// and is cleared by a driver that opens the port, nor what comes while the port is in loopback.
    ///
    /// - Returns: How many bytes were taken. If that is not all, `roomToReceive` is called when it is worthwhile to
    ///   come again.
    package func receive(_ bytes: some Collection<UInt8> & Sendable) -> Int {
        let taken = state.withLock { state in
            let taken = state.registers.receive(bytes)
            state.line.set(state.registers.interrupts)
            return taken
        }
        if taken > 0 { arrivals.notifyAll() }
        return taken
    }

    /// Whether ``receive(_:)`` would take a byte now, and the guest has looked at the receiver or takes interrupts of it,
    /// so that there is somebody to fetch input for. If not, `roomToReceive` is called when it is so.
    package func isReadyToReceive() -> Bool {
        state.withLock { $0.registers.isReadyToReceive() }
    }

    /// Gives the guest a break, which Linux takes as the start of a magic SysRq sequence.
    ///
    /// - Returns: Whether there was room.
    package func receiveBreak() -> Bool {
        state.withLock { state in
            let taken = state.registers.receiveBreak()
            state.line.set(state.registers.interrupts)
            return taken
        }
    }

    /// Takes the oldest byte out of the receiver, for firmware that hands it to the guest as a key.
    package func takeInput() -> UInt8? {
        access { $0.take() }
    }

    /// The oldest byte in the receiver.
    package func peekInput() -> UInt8? {
        access { $0.peek() }
    }

    private func access(_ body: @Sendable (inout SerialRegisterFile) -> UInt8?) -> UInt8? {
        let (byte, hasRoom) = state.withLock { state in
            let byte = body(&state.registers)
            state.line.set(state.registers.interrupts)
            return (byte, state.registers.takeRoomNotice())
        }
        if hasRoom { roomToReceive() }
        return byte
    }

    /// Whether no more input will come than has.
    package var inputHasEnded: Bool { hasEnded.load(ordering: .acquiring) }

    func noteEndOfInput() {
        hasEnded.store(true, ordering: .releasing)
        arrivals.notifyAll()
    }

    /// Reads a register.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        let (value, hasRoom) = state.withLock { state in
            let value = state.registers.read(offset)
            state.line.set(state.registers.interrupts)
            return (value, state.registers.takeRoomNotice())
        }
        if hasRoom { roomToReceive() }
        return UInt32(value)
    }

    /// Writes a register.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        let (sent, hasRoom) = state.withLock { state in
            let sent = state.registers.write(offset, UInt8(truncatingIfNeeded: value))
            state.line.set(state.registers.interrupts)
            return (sent, state.registers.takeRoomNotice())
        }
        if let sent { transmit(sent) }
        if hasRoom { roomToReceive() }
    }
}

/// The receiver's FIFO of a 16550A: 16 bytes, each with the errors that came with it.
///
/// It lives in registers and takes no memory from the heap.
struct SerialReceiveQueue: Sendable {
    typealias Errors = SerialRegister.LineStatus

    /// The bytes that fit in. Source: PC16550D data sheet, section 8.4 "FIFO control register".
    package static let capacity = 16

    private var bytes = SIMD16<UInt8>()
    private var errors = SIMD16<UInt8>()
    /// Which places have a byte that came over the line as data: not from the loop, nor of a break. A bit each.
    private var inputPlaces: UInt16 = 0
    /// Where the oldest byte stands.
    private var head = 0
    /// How many bytes wait.
    private(set) var count = 0

    package var isEmpty: Bool { count == 0 }

    /// The place of the byte `distance` after the oldest. The mask keeps it inside whatever the distance.
    private func place(_ distance: Int) -> Int {
        (head &+ distance) & (Self.capacity &- 1)
    }

    /// Adds a byte, if there is room.
    ///
    /// - Returns: Whether there was.
    package mutating func append(_ byte: UInt8, errors newErrors: Errors = [], isInput: Bool = true) -> Bool {
        guard count < Self.capacity else { return false }
        let place = place(count)
        bytes[place] = byte
        errors[place] = newErrors.rawValue
        let bit: UInt16 = 1 << UInt16(truncatingIfNeeded: place)
        inputPlaces = isInput ? inputPlaces | bit : inputPlaces & ~bit
        count &+= 1
        return true
    }

    /// Takes the oldest byte out; nil when there is none.
    package mutating func popFirst() -> UInt8? {
        guard count > 0 else { return nil }
        let byte = bytes[head]
        errors[head] = 0
        head = place(1)
        count &-= 1
        return byte
    }

    /// The bytes that came over the line as data, in their order.
    var input: SerialReceiveQueue {
        var input = SerialReceiveQueue()
        for distance in 0..<count {
            let place = place(distance)
            guard inputPlaces >> UInt16(truncatingIfNeeded: place) & 1 == 1 else { continue }
            _ = input.append(bytes[place])
        }
        return input
    }

    /// The oldest byte, which stays.
    var first: UInt8? { count > 0 ? bytes[head] : nil }

    /// Puts a byte in the place of the newest. Nothing happens when there is none.
    mutating func replaceLast(_ byte: UInt8) {
        guard count > 0 else { return }
        bytes[place(count &- 1)] = byte
    }

    /// Takes away the errors of the oldest byte, and returns them.
    mutating func takeFirstErrors() -> Errors {
        guard count > 0 else { return [] }
        let taken = errors[head]
        errors[head] = 0
        return Errors(rawValue: taken)
    }

    /// Whether any byte still has errors that were not taken.
    var hasErrors: Bool { errors != SIMD16() }

    package mutating func removeAll() {
        self = SerialReceiveQueue()
    }
}
