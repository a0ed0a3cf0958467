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
/// What is not there: parity and framing errors (the line makes none), and the time that bytes take.
///
/// State is kept in order by a lock that is held for some tens of instructions, and for the call to the interrupt line.
/// All other closures are called without it, on the thread that causes them.
public final class Serial16550: PortIODevice {
    private struct State {
        var registers = SerialRegisterFile()
        var line: InterruptLine
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
    public init(
        interrupt: @escaping @Sendable (Bool) -> Void,
        transmit: @escaping @Sendable (UInt8) -> Void,
        roomToReceive: @escaping @Sendable () -> Void = {}
    ) {
        state = Locked(State(line: InterruptLine(interrupt)))
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
    public func receive(_ bytes: some Collection<UInt8> & Sendable) -> Int {
        state.withLock { state in
            let taken = state.registers.receive(bytes)
            state.line.set(state.registers.interrupts)
            return taken
        }
    }

    /// Whether ``receive(_:)`` would take a byte now. If not, `roomToReceive` is called when it would.
    public func isReadyToReceive() -> Bool {
        state.withLock { $0.registers.isReadyToReceive() }
    }

    /// Gives the guest a break, which Linux takes as the start of a magic SysRq sequence.
    ///
    /// - Returns: Whether the guest listens and there was room.
    public func receiveBreak() -> Bool {
        state.withLock { state in
            let taken = state.registers.receiveBreak()
            state.line.set(state.registers.interrupts)
            return taken
        }
    }

    /// Reads a register.
    public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        let (value, hasRoom) = state.withLock { state in
            let value = state.registers.read(offset)
            state.line.set(state.registers.interrupts)
            return (value, state.registers.takeRoomNotice())
        }
        if hasRoom { roomToReceive() }
        return UInt32(value)
    }

    /// Writes a register.
    public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        let (sent, hasRoom) = state.withLock { state in
            let sent = state.registers.write(offset, UInt8(truncatingIfNeeded: value))
            state.line.set(state.registers.interrupts)
            return (sent, state.registers.takeRoomNotice())
        }
        if let sent { transmit(sent) }
        if hasRoom { roomToReceive() }
    }
}
