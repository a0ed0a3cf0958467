/// The devices of a machine, and where they are attached.
struct DeviceSet {
    /// The interrupt of the first serial port. Source: the PC/AT.
    static let serialInterrupt: UInt32 = 4
    /// The interrupt of ACPI's fixed hardware, as the FADT has it.
    static let systemControlInterrupt: UInt32 = 9

    let control = RunControl()
    /// What the serial port rings when it would take more input.
    let inputBell: Doorbell
    private let panicWatch = PanicWatch()
    let console: ConsoleOutput

    /// Devices on a console.
    ///
    /// - Throws: ``KVMError/outOfResources(name:_:)`` when the system refuses a descriptor.
    init(consoleDescriptor: Int32, statusLine: StatusLine? = nil) throws(KVMError) {
        let control = control
        inputBell = try Doorbell()
        console = try ConsoleOutput(
            descriptor: consoleDescriptor,
            shouldGiveUp: { control.isStopping },
            statusLine: statusLine,
            onFailure: { control.stop(.failed($0)) }
        )
    }

    /// The devices that every guest has.
    var common: [PortAttachment] {
        let (console, control) = (console, control)
        let exit = ExitPort { control.end(.exitPort($0), flushing: console) }
        return [
            PortAttachment(DebugConsole { console.write($0) }, named: "debug console", at: PortMap.debugConsole),
            PortAttachment(exit, named: "exit port", at: PortMap.exit),
            PortAttachment(PostCodePort(), named: "POST codes", at: PortMap.postCode),
        ]
    }

    /// The first serial port, on the console.
    func serial(interrupt: @escaping @Sendable (Bool) -> Void) -> Serial16550 {
        let (console, panicWatch, inputBell) = (console, panicWatch, inputBell)
        return Serial16550(
            interrupt: interrupt,
            transmit: { byte in
                panicWatch.see(byte)
                console.write(byte)
            },
            roomToReceive: { inputBell.ring() })
    }

    func attachment(of serial: Serial16550) -> PortAttachment {
        PortAttachment(serial, named: "serial port", at: PortMap.serial)
    }

    /// Clock, keyboard controller, and what switches the machine off or resets it.
    func power(memory: GuestMemory, interrupt: @escaping @Sendable (Bool) -> Void) -> [PortAttachment] {
        let (console, control, panicWatch) = (console, control, panicWatch)
        let reset: @Sendable () -> Void = {
            control.end(panicWatch.hasPanicked ? .panicked : .reset, flushing: console)
        }
        let clock = CMOSClock(
            memoryBelow4GiB: memory.regions.first?.size ?? 0,
            memoryAbove4GiB: memory.regions.dropFirst().reduce(0) { $0 + $1.size })
        let keyboard = KeyboardController(reset: reset)
        let powerOff: @Sendable () -> Void = { control.end(.poweredOff, flushing: console) }
        let management = ACPIPowerManagement(interrupt: interrupt, powerOff: powerOff)
        return [
            PortAttachment(clock, named: "CMOS clock", at: PortMap.cmos),
            PortAttachment(keyboard.data, named: "keyboard data", at: PortMap.keyboardData),
            PortAttachment(keyboard.command, named: "keyboard command", at: PortMap.keyboardCommand),
            PortAttachment(management, named: "ACPI power management", at: PortMap.powerManagement),
            PortAttachment(ResetControlRegister(reset: reset), named: "reset control", at: PortMap.resetControl),
        ]
    }
}

extension PortAttachment {
    /// Puts a device at a single port.
    fileprivate init<Device: PortIODevice>(_ device: Device, named name: String, at port: UInt16) {
        self.init(device, named: name, at: port...port)
    }
}
