/// What a 16550A knows and how its registers answer: ``Serial16550`` without locks and closures.
///
/// Bytes take no time on the line: what the guest transmits is gone at once, and the pause after which a 16550A reports
/// bytes that have not reached the trigger level has always passed. A byte that comes in is in the receiver at once, and
/// sets the data-ready bit, whatever the guest does otherwise. Only after a reset of the receiver does the next byte take
/// as long as a character takes on a real line, counted in accesses to the port. That is what drivers count on that
/// reset the FIFO and then read whatever is left, as Linux does when it opens the port.
struct SerialRegisterFile: Sendable {
    private typealias Identification = SerialRegister.InterruptIdentification

    /// The modem lines that the other end sets: always there and always willing.
    private static let connected: SerialRegister.ModemStatus = [.clearToSend, .dataSetReady, .carrierDetect]
    /// The accesses that fit into the time of a character: 10 bits at 115,200 baud, and 1.3 us for an access to the ISA
    /// bus. Linux makes 22 of them from the reset until it takes interrupts (serial8250_do_startup).
    package static let accessesPerCharacter = 64

    private var enabled: SerialRegister.InterruptEnable = []
    private var lineControl: UInt8 = 0
    private var modemControl: SerialRegister.ModemControl = []
    private var modemChanges: SerialRegister.ModemStatus = []
    private var scratch: UInt8 = 0
    /// 1 is 115,200 baud. It has no effect; but Linux divides by it.
    private var divisor: UInt16 = 1
    private var usesFIFOs = false
    private var triggerLevel = 1
    private var queue = SerialReceiveQueue()
    /// Errors of the oldest byte, and overruns, that the guest has not read yet.
    private var errors: SerialRegister.LineStatus = []
    /// The transmitter has become empty, and the guest has not been told yet.
    private var announcesEmptyTransmitter = false
    /// Input that a reset has cleared out of the receiver before the guest took it: it comes in again.
    private var returned = SerialReceiveQueue()
    /// The accesses until a character can have come in after a reset of the receiver.
    private var silence = 0
    /// Whether there is anything to be done as time passes: a silence that lasts, or something returned. One comparison
    /// an access.
    private var isSettling = false
    /// Whether the guest has ever looked at the receiver. Until then it cannot know of a byte.
    private var hasLooked = false
    /// Whether a feeder was turned away and waits to be called.
    private var feederWaits = false

    private var isLooping: Bool { modemControl.contains(.loopback) }
    private var hasDivisorAccess: Bool { lineControl & SerialRegister.divisorLatchAccess != 0 }
    private var capacity: Int { usesFIFOs ? SerialReceiveQueue.capacity : 1 }

    /// Whether a byte from the line can come in, as far as the line goes: in loopback the receiver is cut off from it.
    private var isLineOpen: Bool { !isLooping && silence == 0 && returned.isEmpty }

    /// The level of the interrupt line. In loopback OUT2 is held inactive, and with it a PC's interrupt gate shut
    /// (PC16550D data sheet, section 8.7).
    package var interrupts: Bool {
        modemControl.contains(.out2) && !isLooping && pendingInterrupt != Identification.none
    }

    /// The event of the highest priority. Source: PC16550D data sheet, table IV "Interrupt control functions".
    private var pendingInterrupt: UInt8 {
        if enabled.contains(.lineStatus), !errors.isEmpty { return Identification.lineStatus }
        if enabled.contains(.received), !queue.isEmpty {
            return !usesFIFOs || queue.count >= triggerLevel
                ? Identification.received : Identification.characterTimeout
        }
        if enabled.contains(.holdingEmpty), announcesEmptyTransmitter { return Identification.holdingEmpty }
        if enabled.contains(.modemStatus), !modemChanges.isEmpty { return Identification.modemStatus }
        return Identification.none
    }

    /// The oldest byte in the receiver, as a look at it.
    mutating func peek() -> UInt8? {
        hasLooked = true
        if isSettling { settle(isTransmission: false) }
        return queue.first
    }

    /// Takes the oldest byte out of the receiver, whatever the divisor latch hides.
    mutating func take() -> UInt8? {
        guard !queue.isEmpty else { return nil }
        let byte = readReceived()
        if isSettling { settle(isTransmission: false) }
        return byte
    }

    /// Whether a feeder that was turned away should try again; asking takes the answer away.
    mutating func takeRoomNotice() -> Bool {
        guard feederWaits, hasLooked, queue.isEmpty, isLineOpen else { return false }
        feederWaits = false
        return true
    }
}

// MARK: The line

extension SerialRegisterFile {
    /// Takes as many bytes as fit from the line, and returns how many.
    package mutating func receive(_ bytes: some Collection<UInt8>) -> Int {
        guard !bytes.isEmpty else { return 0 }
        var taken = 0
        if isLineOpen {
            for byte in bytes.prefix(max(0, capacity &- queue.count)) {
                enqueue(byte)
                taken &+= 1
            }
        }
        feederWaits = taken < bytes.count
        return taken
    }

    /// Whether a byte from the line would be taken, and the guest has looked for one.
    package mutating func isReadyToReceive() -> Bool {
        let isReady = hasLooked && isLineOpen && queue.count < capacity
        feederWaits = !isReady
        return isReady
    }

    /// Takes a break from the line, which fills one place of the FIFO with a zero.
    mutating func receiveBreak() -> Bool {
        guard isLineOpen, queue.count < capacity else { return false }
        enqueue(0, errors: .breakSignal, isInput: false)
        return true
    }

    /// - Parameter isInput: Whether the byte came over the line as data.
    private mutating func enqueue(
        _ byte: UInt8, errors newErrors: SerialRegister.LineStatus = [], isInput: Bool = true
    ) {
        _ = queue.append(byte, errors: newErrors, isInput: isInput)
        if queue.count == 1 { errors.formUnion(queue.takeFirstErrors()) }
    }

    /// Lets the time of one access pass on the line, and what was returned come in.
    @inline(never)
    private mutating func settle(isTransmission: Bool) {
        if isTransmission {
            // Printing, a look at the line status for each byte, passes no time: it may go on beside a driver's start.
            silence = silence == 0 ? 0 : min(silence &+ 1, Self.accessesPerCharacter)
        } else if silence > 0 {
            silence &-= 1
        }
        guard silence == 0, !isLooping else { return }
        while queue.count < capacity, let byte = returned.popFirst() { enqueue(byte) }
        isSettling = !returned.isEmpty
    }

    /// Empties the receiver.
    ///
    /// A driver that takes interrupts has been told of the bytes. To any other they are returned, as if they had come
    /// later: what is typed or piped early waits for a guest that opens the port, and does not get lost.
    private mutating func resetReceiver() {
        errors.subtract(.ofOneByte)
        if !enabled.contains(.received) {
            var bytes = queue.input
            while let byte = returned.popFirst() { _ = bytes.append(byte) }
            returned = bytes
            silence = Self.accessesPerCharacter
            isSettling = true
        }
        queue.removeAll()
    }

    /// A byte that the guest sends to itself. With no room left the newest is lost, in the FIFO or before it
    /// (PC16550D data sheet, section 8.5, bit 1).
    private mutating func loopBack(_ byte: UInt8) {
        if queue.count < capacity {
            enqueue(byte, isInput: false)
        } else {
            errors.insert(.overrun)
            if !usesFIFOs { queue.replaceLast(byte) }
        }
    }
}

// MARK: Reads

extension SerialRegisterFile {
    /// Answers a read of a register.
    package mutating func read(_ register: UInt16) -> UInt8 {
        let value = load(register)
        if isSettling { settle(isTransmission: false) }
        return value
    }

    @inline(__always)
    private mutating func load(_ register: UInt16) -> UInt8 {
        switch register {
        case SerialRegister.data where hasDivisorAccess: UInt8(truncatingIfNeeded: divisor)
        case SerialRegister.data: readReceived()
        case SerialRegister.interruptEnable where hasDivisorAccess: UInt8(truncatingIfNeeded: divisor >> 8)
        case SerialRegister.interruptEnable: enabled.rawValue
        case SerialRegister.interruptIdentification: readIdentification()
        case SerialRegister.lineControl: lineControl
        case SerialRegister.modemControl: modemControl.rawValue
        case SerialRegister.lineStatus: readLineStatus()
        case SerialRegister.modemStatus: readModemStatus()
        case SerialRegister.scratch: scratch
        default: .max
        }
    }

    private mutating func readReceived() -> UInt8 {
        hasLooked = true
        let byte = queue.popFirst() ?? 0
        errors.formUnion(queue.takeFirstErrors())
        return byte
    }

    private mutating func readIdentification() -> UInt8 {
        hasLooked = true
        let pending = pendingInterrupt
        if pending == Identification.holdingEmpty { announcesEmptyTransmitter = false }
        return usesFIFOs ? pending | Identification.fifosEnabled : pending
    }

    private mutating func readLineStatus() -> UInt8 {
        hasLooked = true
        var status = errors.union([.holdingEmpty, .transmitterEmpty])
        if !queue.isEmpty { status.insert(.dataReady) }
        if usesFIFOs, queue.hasErrors || !errors.isDisjoint(with: .ofOneByte) { status.insert(.fifoError) }
        errors = []
        return status.rawValue
    }

    private mutating func readModemStatus() -> UInt8 {
        let status = modemLevels.union(modemChanges)
        modemChanges = []
        return status.rawValue
    }

    /// The modem's lines: those of the other end, or the guest's own in loopback (PC16550D data sheet, section 8.7).
    private var modemLevels: SerialRegister.ModemStatus {
        guard isLooping else { return Self.connected }
        var levels: SerialRegister.ModemStatus = []
        if modemControl.contains(.requestToSend) { levels.insert(.clearToSend) }
        if modemControl.contains(.dataTerminalReady) { levels.insert(.dataSetReady) }
        if modemControl.contains(.out1) { levels.insert(.ring) }
        if modemControl.contains(.out2) { levels.insert(.carrierDetect) }
        return levels
    }
}

// MARK: Writes

extension SerialRegisterFile {
    /// Takes a write to a register.
    ///
    /// - Returns: The byte to transmit, if the write was one to the transmitter.
    package mutating func write(_ register: UInt16, _ value: UInt8) -> UInt8? {
        isSettling ? writeWhileSettling(register, value) : store(register, value)
    }

    @inline(never)
    private mutating func writeWhileSettling(_ register: UInt16, _ value: UInt8) -> UInt8? {
        let isTransmission = register == SerialRegister.data && !hasDivisorAccess
        let sent = store(register, value)
        settle(isTransmission: isTransmission)
        return sent
    }

    @inline(__always)
    private mutating func store(_ register: UInt16, _ value: UInt8) -> UInt8? {
        switch register {
        case SerialRegister.data where hasDivisorAccess:
            divisor = divisor & 0xFF00 | UInt16(value)
        case SerialRegister.data:
            return transmit(value)
        case SerialRegister.interruptEnable where hasDivisorAccess:
            divisor = divisor & 0x00FF | UInt16(value) << 8
        case SerialRegister.interruptEnable:
            enable(SerialRegister.InterruptEnable(rawValue: value).intersection(.all))
        case SerialRegister.interruptIdentification:
            controlFIFOs(SerialRegister.FIFOControl(rawValue: value))
        case SerialRegister.lineControl:
            lineControl = value
        case SerialRegister.modemControl:
            let old = modemLevels
            modemControl = SerialRegister.ModemControl(rawValue: value).intersection(.all)
            modemChanges.formUnion(.changes(from: old, to: modemLevels))
        case SerialRegister.scratch:
            scratch = value
        default:
            // The status registers are for factory tests to write; there is nothing past the scratch register.
            break
        }
        return nil
    }

    /// All eight bits go out whatever word length the line control register says: guests that never set it would
    /// otherwise send five.
    private mutating func transmit(_ byte: UInt8) -> UInt8? {
        announcesEmptyTransmitter = true
        guard isLooping else { return byte }
        loopBack(byte)
        return nil
    }

    /// Enabling the transmitter's interrupt while it is empty raises it, however often: Linux tests for that
    /// (serial8250_do_startup in drivers/tty/serial/8250/8250_port.c).
    private mutating func enable(_ new: SerialRegister.InterruptEnable) {
        if new.contains(.holdingEmpty), !enabled.contains(.holdingEmpty) { announcesEmptyTransmitter = true }
        enabled = new
        // The driver is ready.
        if new.contains(.received) {
            hasLooked = true
            silence = 0
        }
    }

    /// A change of mode leaves bytes that have been received where they are, as if they had come after the change. The
    /// data sheet has it clear them; but Linux first enables interrupts and then the FIFOs, and would lose input that
    /// came in between.
    private mutating func controlFIFOs(_ control: SerialRegister.FIFOControl) {
        usesFIFOs = control.contains(.enable)
        // Without the enable bit the other bits are not looked at (PC16550D data sheet, section 8.4).
        guard usesFIFOs else { return }
        triggerLevel = control.triggerLevel
        if control.contains(.resetReceiver) { resetReceiver() }
    }
}
