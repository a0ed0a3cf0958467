import Host
package import Memory

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
    /// No byte is taken while the guest would not notice: before its driver has enabled the interrupt, while the port is
    /// closed or in loopback. So what is fed early, by a pipe for instance, waits instead of getting lost. A guest
    /// without interrupts counts as listening once it has read the line status 8 times in a row.
    ///
    /// - Returns: How many bytes were taken. If that is not all, `roomToReceive` is called when it is worthwhile to
    ///   come again.
    package func receive(_ bytes: some Collection<UInt8> & Sendable) -> Int {
        state.withLock { state in
            let taken = state.registers.receive(bytes)
            state.line.set(state.registers.interrupts)
            return taken
        }
    }

    /// Whether ``receive(_:)`` would take a byte now. If not, `roomToReceive` is called when it would.
    package func isReadyToReceive() -> Bool {
        state.withLock { $0.registers.isReadyToReceive() }
    }

    /// Gives the guest a break, which Linux takes as the start of a magic SysRq sequence.
    ///
    /// - Returns: Whether the guest listens and there was room.
    package func receiveBreak() -> Bool {
        state.withLock { state in
            let taken = state.registers.receiveBreak()
            state.line.set(state.registers.interrupts)
            return taken
        }
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
    package mutating func append(_ byte: UInt8, errors newErrors: Errors = []) -> Bool {
        guard count < Self.capacity else { return false }
        let place = place(count)
        bytes[place] = byte
        errors[place] = newErrors.rawValue
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
