import Host
import Memory

/// The virtio console: one port, `/dev/hvc0` in Linux, with a name and a size.
///
/// What the guest writes comes out on its vCPU's thread, as what it writes to the serial port does: the driver waits for
/// that in a loop anyway, a reader that does not read holds the guest up, and nothing is under way when the run ends.
///
/// Input goes into the buffers that the driver has made available, and waits outside while there are none.
///
/// Drivers that know of several ports talk of them by messages, and learn the port's name and its size so. One that does
/// not has the port at once, and reads the size in the configuration.
///
/// Source: virtio 1.2, section 5.3 "Console Device".
// Safe to use: the closure is lent memory for the call, with its size.
@safe
package final class VirtioConsole: VirtioDevice, ConsoleReceiver {
    package static let kind = VirtioKind.console
    /// Input, output, and messages to and from the driver. As many inputs wait at most as there are elements.
    static let queueSizes: [UInt16] = [16, 64, 16, 16]
    /// What the guest finds in /sys/class/virtio-ports/*/name.
    static let portName = "minivmm.console"

    /// The queues by their numbers.
    private enum Queue {
        static let input = 0
        static let output = 1
        static let messagesToDriver = 2
        static let messagesFromDriver = 3
    }

    /// Source: section 5.3.3 "Feature bits".
    private enum Feature {
        static let size: UInt64 = 1 << 0
        static let ports: UInt64 = 1 << 1
    }

    private struct State {
        var size: ConsoleSize.Size
        /// What the driver is to be told, in order.
        var messages: [[UInt8]] = []
        /// Whether the driver has said that it has the port.
        var hasPort = false
        /// Whether the feeder was told that there is no room, and waits to hear that there is.
        var feederWaits = false
    }

    package let features = Feature.size | Feature.ports
    private let link: VirtioLink
    private let state: Locked<State>
    private let write: @Sendable (UnsafeRawBufferPointer) -> Void
    private let roomToReceive: @Sendable () -> Void

    /// A console.
    ///
    /// - Parameters:
    ///   - size: The terminal's.
    ///   - write: Takes what the guest writes, in parts, on the vCPU's thread. It must not keep the memory.
    ///   - roomToReceive: Called on a vCPU's thread when there is room for input that there was none for.
    init(
        _ link: VirtioLink, size: ConsoleSize.Size, write: @escaping @Sendable (UnsafeRawBufferPointer) -> Void,
        roomToReceive: @escaping @Sendable () -> Void
    ) {
        self.link = link
        unsafe self.write = unsafe write
        self.roomToReceive = roomToReceive
        state = Locked(State(size: size))
    }

    /// What the driver reads of a console. Source: section 5.3.4 "Device configuration layout".
    static func configuration(_ size: ConsoleSize.Size) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(size.columns)
        builder.add(size.rows)
        // The most ports.
        builder.add(UInt32(1))
        return builder.bytes
    }

    package func start() {
        for queue in 0..<Self.queueSizes.count { notify(queue) }
    }

    package func notify(_ queue: Int) {
        switch queue {
        case Queue.input: wakeFeeder()
        case Queue.output: output()
        case Queue.messagesToDriver: sendMessages()
        default: takeMessages()
        }
    }

    package func reset() {
        state.withLock { state in
            state.messages = []
            state.hasPort = false
        }
    }

    private func output() {
        link.serve(Queue.output) { chain throws(VirtqueueFault) in
            guard chain.readable.byteCount > 0 else { throw .request }
            unsafe chain.readable.withParts(0..<chain.readable.byteCount) { unsafe write(UnsafeRawBufferPointer($0)) }
            return 0
        }
    }
}

// MARK: Input

extension VirtioConsole {
    package func isReadyToReceive() -> Bool {
        // First, so that a notification in between is not missed.
        state.withLock { $0.feederWaits = true }
        guard link.hasRequest(Queue.input) else { return false }
        state.withLock { $0.feederWaits = false }
        return true
    }

    package func receive(_ bytes: ArraySlice<UInt8>) -> Int {
        var rest = bytes
        while !rest.isEmpty {
            state.withLock { $0.feederWaits = true }
            let isServed = link.serveOne(Queue.input) { chain throws(VirtqueueFault) in
                guard chain.writable.byteCount > 0 else { throw .request }
                let count = chain.writable.write(rest)
                rest = rest.dropFirst(count)
                return count
            }
            guard isServed else { return bytes.count - rest.count }
        }
        state.withLock { $0.feederWaits = false }
        return bytes.count
    }

    /// A console has no end that a guest would see.
    package func end() {}

    private func wakeFeeder() {
        let wakes = state.withLock { state in
            defer { state.feederWaits = false }
            return state.feederWaits
        }
        if wakes { roomToReceive() }
    }
}

// MARK: Messages

extension VirtioConsole {
    /// Source: section 5.3.6.2 "Multiport Device Operation".
    private enum Event: UInt16 {
        case driverReady = 0
        case portAdded = 1
        case portReady = 3
        case isConsole = 4
        case resized = 5
        case portOpen = 6
        case portName = 7
    }

    private static let messageSize = 8
    /// The most that wait: a driver that asks again and again gets no more.
    private static let maximumMessages = 16

    /// Tells the driver of the terminal's size.
    func resize(_ size: ConsoleSize.Size) {
        link.changeConfiguration { $0 = Self.configuration(size) }
        let isTold = state.withLock { state in
            state.size = size
            return state.hasPort
        }
        if isTold { send([Self.resized(size)]) }
    }

    private static func resized(_ size: ConsoleSize.Size) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(message(.resized, 0))
        builder.add(size.columns)
        builder.add(size.rows)
        return builder.bytes
    }

    private static func message(_ event: Event, _ value: UInt16) -> [UInt8] {
        var builder = ByteBuilder()
        // The port's number.
        builder.add(UInt32(0))
        builder.add(event.rawValue)
        builder.add(value)
        return builder.bytes
    }

    private func takeMessages() {
        link.serve(Queue.messagesFromDriver) { chain throws(VirtqueueFault) in
            guard chain.readable.byteCount >= Self.messageSize else { throw .request }
            let port: UInt32 = chain.readable.load(at: 0)
            let value: UInt16 = chain.readable.load(at: 6)
            answer(Event(rawValue: chain.readable.load(at: 4)), port: port, value: value)
            return 0
        }
        sendMessages()
    }

    private func answer(_ event: Event?, port: UInt32, value: UInt16) {
        state.withLock { state in
            switch (event, port, value) {
            case (.driverReady, _, 1): Self.add([Self.message(.portAdded, 1)], to: &state)
            case (.portReady, 0, 1):
                state.hasPort = true
                let name = Self.message(.portName, 1) + Array(Self.portName.utf8)
                Self.add(
                    [Self.message(.isConsole, 1), name, Self.resized(state.size), Self.message(.portOpen, 1)],
                    to: &state)
            default: break
            }
        }
    }

    private static func add(_ messages: [[UInt8]], to state: inout State) {
        guard state.messages.count + messages.count <= maximumMessages else { return }
        state.messages += messages
    }

    private func send(_ messages: [[UInt8]]) {
        state.withLock { Self.add(messages, to: &$0) }
        sendMessages()
    }

    /// Hands over messages as far as the driver has made room for them.
    private func sendMessages() {
        while state.withLock({ !$0.messages.isEmpty }) {
            let isServed = link.serveOne(Queue.messagesToDriver) { chain throws(VirtqueueFault) in
                guard chain.writable.byteCount > 0 else { throw .request }
                let message = state.withLock { $0.messages.isEmpty ? [] : $0.messages.removeFirst() }
                return chain.writable.write(message[...])
            }
            if !isServed { return }
        }
    }
}

/// The size of the terminal that a guest's console is on, which changes when somebody changes it.
public final class ConsoleSize: Sendable {
    struct Size: Hashable, Sendable {
        var columns: UInt16
        var rows: UInt16
    }

    private struct State {
        var size: Size
        var listener: (@Sendable (Size) -> Void)?
    }

    private let state: Locked<State>

    /// A size in characters; 0 for one that is not known.
    public init(columns: UInt16 = 0, rows: UInt16 = 0) {
        state = Locked(State(size: Size(columns: columns, rows: rows)))
    }

    /// Tells the guest of another size. From any thread.
    public func set(columns: UInt16, rows: UInt16) {
        let size = Size(columns: columns, rows: rows)
        let listener = state.withLock { state -> (@Sendable (Size) -> Void)? in
            guard state.size != size else { return nil }
            state.size = size
            return state.listener
        }
        listener?(size)
    }

    var current: Size { state.withLock { $0.size } }

    func listen(_ listener: @escaping @Sendable (Size) -> Void) {
        state.withLock { $0.listener = listener }
    }
}

/// A console for the guest by virtio, in place of the serial port: input goes to it alone, and both can be written to.
public struct VirtioConsolePort: Component {
    private let size: ConsoleSize

    /// A console on a terminal of some size.
    public init(size: ConsoleSize = ConsoleSize()) {
        self.size = size
    }

    public func attach(to attachments: inout Attachments) throws {
        let machine = attachments.machine
        let (console, panicWatch, inputBell) = (machine.console, machine.panicWatch, machine.inputBell)
        let current = size.current
        let device = try attachments.virtio(
            named: "virtio console", queueSizes: VirtioConsole.queueSizes,
            configuration: VirtioConsole.configuration(current)
        ) { link in
            unsafe VirtioConsole(
                link, size: current,
                write: { part in
                    unsafe panicWatch.see(part)
                    unsafe console.write(part)
                },
                roomToReceive: { inputBell.ring() })
        }
        size.listen { [weak device] in device?.resize($0) }
        attachments.receiver = device
        attachments.kernelArguments.append("console=hvc0")
    }
}
