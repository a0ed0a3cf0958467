public import Host
public import Memory

/// What can be attached to a machine: a device with its ports, MMIO, interrupt lines, ACPI nodes, kernel arguments and
/// workers.
///
/// A component is a description until it is attached: it may be attached to several machines, and makes what belongs to
/// one of them in ``attach(to:)``. The built-in devices are components like any other.
public protocol Component: Sendable {
    /// Makes the component's devices and claims what they need.
    ///
    /// - Parameter attachments: What the machine has so far. Called once for each machine, before its vCPUs exist.
    /// - Throws: ``BusError`` when somebody else has what the component claims; an error of its own.
    func attach(to attachments: inout Attachments) throws
}

/// What is attached to a machine that is being put together.
public struct Attachments {
    /// The machine.
    public let machine: MachineContext

    package private(set) var portAttachments: [PortAttachment] = []
    package private(set) var mmioAttachments: [MMIOAttachment] = []
    package private(set) var workers: [Worker] = []
    /// What ACPI tells the guest. The tables are written when all components are attached.
    package var description = ACPIDescription()
    /// Who takes the console's input: the component that was attached last of those that take any.
    package var receiver: (any ConsoleReceiver)?
    /// The first serial port.
    package var serial: Serial16550?
    /// The text screen, where the guest has one.
    package var screen: TextScreen?
    /// The timer, and the controller that its interrupt arrives at, of machines in which KVM has neither.
    package var timer: IntervalTimer?
    package var interruptControllers: CascadedControllers?
    /// The clock, whose interrupt is line 8 of the two.
    package var clock: CMOSClock?
    /// The virtio devices, in the order of their places.
    package var virtioDevices: [VirtioAttachment] = []
    /// Arguments for the guest's kernel, in order. They come after those that the guest is given.
    public var kernelArguments: [String] = []

    /// The owners of the interrupt lines, by number.
    private var lineOwners = [String?](repeating: nil, count: Int(InterruptLine.count))

    package init(machine: MachineContext) {
        self.machine = machine
    }

    /// Puts a device at a range of ports.
    ///
    /// - Parameters:
    ///   - device: The device.
    ///   - name: What reports call it.
    ///   - ports: The ports.
    public mutating func ports(_ device: some PortIODevice, named name: String, at ports: ClosedRange<UInt16>) {
        portAttachments.append(PortAttachment(device, named: name, at: ports))
    }

    /// Puts a device at a range of physical addresses without memory.
    ///
    /// - Parameters:
    ///   - device: The device.
    ///   - name: What reports call it.
    ///   - start: The first address.
    ///   - size: Bytes.
    /// - Throws: ``BusError/overlapsMemory(_:)`` when guest memory lies in the range.
    public mutating func mmio(
        _ device: some MMIODevice, named name: String, at start: GuestPhysicalAddress, size: UInt64
    ) throws(BusError) {
        let (end, isPastEnd) = start.rawValue.addingReportingOverflow(size)
        guard size > 0, !isPastEnd else { throw .emptyRange(name) }
        for region in machine.memory.regions where start.rawValue < region.end && region.start.rawValue < end {
            throw .overlapsMemory(name)
        }
        mmioAttachments.append(MMIOAttachment(device, named: name, at: start, size: size))
    }

    /// Claims an interrupt line.
    ///
    /// - Parameters:
    ///   - number: The global system interrupt: 0 to 23, of which the first 16 are the PICs' too.
    ///   - owner: What errors call the device.
    /// - Returns: The line. On a machine without interrupt controllers it leads nowhere.
    /// - Throws: ``BusError`` when there is no such line, or another device has it.
    public mutating func interruptLine(_ number: UInt32, for owner: String) throws(BusError) -> InterruptLine {
        guard number < InterruptLine.count else { throw .noSuchInterruptLine(number, owner) }
        if let other = lineOwners[Int(number)] { throw .interruptLineTaken(number, owner, other) }
        lineOwners[Int(number)] = owner
        let setLevel = machine.setInterruptLevel
        return InterruptLine { setLevel(number, $0) }
    }

    /// Whether nobody has claimed an interrupt line.
    func isFree(_ line: UInt32) -> Bool {
        line < InterruptLine.count && lineOwners[Int(line)] == nil
    }

    /// Tells the guest of a device, in the namespace `\_SB`.
    ///
    /// - Parameter device: The device. It is made only if the guest reads ACPI tables.
    public mutating func describe(_ device: @autoclosure () throws -> AMLTerm) rethrows {
        guard machine.readsACPI else { return }
        description.devices.append(try device())
    }

    /// Gives the machine a thread that runs for as long as it does.
    ///
    /// - Parameters:
    ///   - name: The thread's name, of which the system keeps 15 bytes.
    ///   - body: What the thread does until ``Worker/Control/isEnding``.
    public mutating func worker(named name: String, _ body: @escaping @Sendable (Worker.Control) -> Void) {
        workers.append(Worker(name: name, body: body))
    }
}

/// What a component is told of the machine that it is attached to.
public struct MachineContext: Sendable {
    /// The guest's memory, for devices that access it.
    public let memory: GuestMemory
    /// How many vCPUs the machine has.
    public let cpuCount: Int
    /// Ends the run. Called on a vCPU's thread; what the guest has written to the console comes out first.
    public let end: @Sendable (MachineEvent) -> Void
    /// Whether the run is being ended: what waits on a vCPU's thread gives up then.
    public let isEnding: @Sendable () -> Bool

    /// Whether the guest reads ACPI tables.
    package let readsACPI: Bool
    package let console: ConsoleOutput
    /// What a device rings when it would take more console input.
    package let inputBell: Doorbell
    package let panicWatch = PanicWatch()
    /// Turned on when the guest begins to use the timer's interrupt.
    package let ticks = TickSwitch()
    package let setInterruptLevel: @Sendable (_ line: UInt32, _ isHigh: Bool) -> Void
    /// What can save devices exits, if anything can.
    package let paths: (any NotificationPaths)?

    package init(
        memory: GuestMemory, cpuCount: Int = 1, readsACPI: Bool, console: ConsoleOutput, inputBell: Doorbell,
        paths: (any NotificationPaths)? = nil,
        setInterruptLevel: @escaping @Sendable (_ line: UInt32, _ isHigh: Bool) -> Void,
        isEnding: @escaping @Sendable () -> Bool, end: @escaping @Sendable (MachineEvent) -> Void
    ) {
        self.memory = memory
        self.cpuCount = cpuCount
        self.readsACPI = readsACPI
        self.console = console
        self.inputBell = inputBell
        self.paths = paths
        self.setInterruptLevel = setInterruptLevel
        self.isEnding = isEnding
        self.end = end
    }

    /// The bytes of memory as firmware counts them: from 0 to the end of what lies below 4 GiB, the holes that a PC has
    /// there included, and from 4 GiB on.
    package var memorySizes: (below4GiB: UInt64, above4GiB: UInt64) {
        let boundary: UInt64 = 1 << 32
        return memory.regions.reduce(into: (0, 0)) { sizes, region in
            if region.start.rawValue < boundary {
                sizes.0 = max(sizes.0, region.end)
            } else {
                sizes.1 &+= region.size
            }
        }
    }

    /// Prints a byte on the guest's console.
    public func print(_ byte: UInt8) {
        console.write(byte)
    }
}

/// What a component ends a run with.
public enum MachineEvent: Sendable {
    /// The guest ends with an exit status.
    case exit(UInt8)
    /// The guest switches the machine off.
    case powerOff
    /// The guest resets the machine.
    case reset
    /// The guest's kernel tells that it has panicked.
    case panicked
    /// The guest's program has ended with an exit status.
    case programExited(UInt8)
    /// The guest's program was killed by the signal of this number.
    case programKilled(Int32)
    /// A component cannot go on.
    case failed(any DiagnosticError)
}

/// A component's end of an interrupt line. It may be used on any thread.
public struct InterruptLine: Sendable {
    /// The lines of an IOAPIC. Source: Intel 82093AA data sheet.
    public static let count: UInt32 = 24

    private let change: @Sendable (_ isHigh: Bool) -> Void

    package init(_ change: @escaping @Sendable (_ isHigh: Bool) -> Void) {
        self.change = change
    }

    /// Sets the level.
    public func setLevel(isHigh: Bool) {
        change(isHigh)
    }

    /// Raises and lowers the line, which is what an edge-triggered interrupt takes.
    public func pulse() {
        change(true)
        change(false)
    }
}

/// A thread of a machine beside those of its vCPUs.
public struct Worker: Sendable {
    /// What a worker is told of the run's end.
    public final class Control: Sendable {
        private let bell: Doorbell

        package init() throws(ResourceError) {
            bell = try Doorbell()
        }

        /// Readable when the run ends: for poll(2) together with other descriptors.
        public var descriptor: Int32 { bell.descriptor }

        /// Whether the run ends, and the worker has to return.
        public var isEnding: Bool { wait(for: .zero) }

        /// Waits for the run's end.
        ///
        /// - Parameter duration: How long at most.
        /// - Returns: Whether the run ends.
        public func wait(for duration: Duration) -> Bool {
            bell.wait(timeout: duration)
        }

        package func end() {
            bell.ring()
        }
    }

    package let name: String
    package let body: @Sendable (Control) -> Void
}
