import Boot
import CKVM
import Counters
import Devices
import Host
import KVM
import Memory

/// What flat guests find behind the interrupt vectors of a PC's BIOS: what boot sectors and kernels call before they are
/// on their own. All vCPUs share it.
final class FirmwareServices: Sendable {
    /// What came of a call.
    enum Result {
        /// The guest goes on.
        case done
        /// Nobody serves this vector.
        case unknown
        /// The guest wants to be booted again.
        case reset
        /// The guest waits for a key.
        case waitsForKey
    }

    private let console: ConsoleOutput
    private let disk: DiskServices?
    private let keyboard: KeyboardServices?
    private let system = SystemServices()
    /// What the console's input comes to.
    let serial: Serial16550?

    init(_ disk: BootDisk?, _ attachments: Attachments) {
        console = attachments.machine.console
        self.disk = disk.map(DiskServices.init)
        serial = attachments.serial
        keyboard = serial.map(KeyboardServices.init)
    }

    /// The vectors of a PC's BIOS. Source: IBM PS/2 and PC BIOS Interface Technical Reference.
    private enum Vector {
        static let video: UInt8 = 0x10
        static let equipment: UInt8 = 0x11
        static let memorySize: UInt8 = 0x12
        static let disks: UInt8 = 0x13
        static let system: UInt8 = 0x15
        static let keyboard: UInt8 = 0x16
        static let boot: UInt8 = 0x19
        static let time: UInt8 = 0x1a
    }

    /// Services a call, all but a wait.
    func serve(_ vector: UInt8, _ call: inout FirmwareCall) -> Result {
        switch vector {
        case Vector.video: serveVideo(&call)
        case Vector.equipment: call.ax = FirmwareStubs.equipment
        case Vector.memorySize: call.ax = FirmwareStubs.baseMemoryKiB
        case Vector.disks:
            guard let disk else { return .unknown }
            disk.serve(&call)
        case Vector.system: system.serveSystem(&call)
        case Vector.keyboard:
            guard let keyboard else { return .unknown }
            return keyboard.serve(&call) ? .done : .waitsForKey
        case Vector.boot: return .reset
        case Vector.time: system.serveTime(&call)
        default: return .unknown
        }
        return .done
    }

    private enum VideoFunction {
        static let cursor: UInt8 = 0x03
        static let teletypeOutput: UInt8 = 0x0e
        static let mode: UInt8 = 0x0f
        static let writeString: UInt8 = 0x13
    }

    /// The lines of a cursor in text mode.
    private static let cursorShape: UInt16 = 0x0607

    /// Other functions (modes, colors, scrolling) have no screen to act on, and are done with nothing done.
    private func serveVideo(_ call: inout FirmwareCall) {
        switch call.ah {
        case VideoFunction.teletypeOutput: console.write(call.al)
        case VideoFunction.cursor: (call.cx, call.dx) = (Self.cursorShape, 0)
        case VideoFunction.mode:
            call.ax = FirmwareStubs.videoColumns << 8 | FirmwareStubs.videoMode
            call.bh = 0
        case VideoFunction.writeString: writeString(call)
        default: break
        }
    }

    /// CX characters from ES:BP. With bit 1 of AL a color stands behind each.
    private func writeString(_ call: FirmwareCall) {
        let step: UInt16 = call.al & 2 == 0 ? 1 : 2
        var offset = call.bp
        for _ in 0..<call.cx {
            guard let byte = try? call.memory.load(UInt8.self, at: call.address(call.special.es, offset)) else {
                return
            }
            console.write(byte)
            offset &+= step
        }
    }
}

// MARK: Servicing a call

extension VCPURunner {
    /// Services an OUT to the firmware's port, if a stub executed it.
    ///
    /// - Returns: nil when the OUT is the guest's own.
    final func serviceFirmwareCall() throws(KVMError) -> Service? {
        let registers = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        guard special.cr0 & RegisterBits.cr0ProtectionEnable == 0,
            let vector = FirmwareStubs.vector(
                codeSegment: special.cs.selector, instructionPointer: registers.rip)
        else { return nil }
        counters.begin(.portOut)
        var call = FirmwareCall(registers, special, machine.memory)
        var result = machine.firmware?.serve(vector, &call) ?? .unknown
        while case .waitsForKey = result {
            guard waitForInput() else { return over(.portOut, .halted) }
            if machine.control.isStopping { return .booked(.portOut) }
            result = machine.firmware?.serve(vector, &call) ?? .unknown
        }
        switch result {
        case .unknown: return over(.portOut, .died(unhandled(vector, registers, special)))
        case .reset: return over(.portOut, .reset)
        case .done, .waitsForKey: break
        }
        call.storeFlags()
        // RIP stays as it is: where it is still at the OUT, KVM skips the OUT at the next KVM_RUN.
        if call.registers != registers { try self.registers.setGeneralNow(call.registers) }
        return .booked(.portOut)
    }

    /// Waits on the vCPU's thread until there is input, or the run ends. The wait is nobody's time.
    ///
    /// - Returns: Whether to look again; false when no input can come any more, and nobody is there to go on.
    private func waitForInput() -> Bool {
        guard let serial = machine.firmware?.serial else { return false }
        // What the guest has asked for the input with.
        machine.console.flush()
        defer { serviceStart = ckvm_rdtsc() }
        while !machine.control.isStopping {
            let ticket = serial.arrivals.ticket
            if serial.peekInput() != nil { return true }
            if serial.inputHasEnded, machine.counters.vcpuCount == 1 { return false }
            // A debugger may have given orders meanwhile, which are read after a KVM_RUN without an exit.
            if machine.control.parkWhilePaused(vcpu) { vcpu.requestImmediateExit() }
            _ = serial.arrivals.wait(after: ticket, timeout: Self.longestWait)
        }
        return true
    }

    /// A vCPU that waits looks as often whether the run ends or is to be paused.
    private static let longestWait = Duration.milliseconds(10)

    /// The death by a vector that nobody handles: with the state that the interrupt found, not the stub's.
    ///
    /// An interrupt in real mode pushes FLAGS, CS and IP, two bytes each, so that they stand at SS:SP in the opposite
    /// order. Source: Intel SDM, volume 3, "Real-address mode".
    private func unhandled(_ vector: UInt8, _ registers: GeneralRegisters, _ special: SpecialRegisters) -> GuestDeath {
        func pushed(_ index: UInt16) -> UInt16? {
            let pointer = UInt16(truncatingIfNeeded: registers.rsp) &+ index &* 2
            let address = GuestPhysicalAddress(special.ss.base &+ UInt64(pointer))
            return try? machine.memory.load(UInt16.self, at: address)
        }
        guard let offset = pushed(0), let segment = pushed(1), let flags = pushed(2) else {
            return GuestDeath(
                cause: .unhandledVector(vector, at: nil), vcpu: index,
                state: VCPUSnapshot(registers: registers, special: special, memory: machine.memory))
        }
        let returnAddress = SegmentedAddress(segment: segment, offset: offset)
        let (length, isSoftware) = instruction(raising: vector, before: returnAddress)
        let address = SegmentedAddress(segment: returnAddress.segment, offset: returnAddress.offset &- length)
        var registers = registers
        var special = special
        registers.rip = UInt64(address.offset)
        registers.rflags = UInt64(flags)
        registers.rsp = registers.rsp &+ 6
        special.cs.selector = address.segment
        special.cs.base = UInt64(address.segment) << 4
        return GuestDeath(
            cause: isSoftware ? .unhandledInterrupt(vector, at: address) : .unhandledVector(vector, at: address),
            vcpu: index,
            state: VCPUSnapshot(registers: registers, special: special, memory: machine.memory)
        )
    }

    /// The instruction that raised a vector and pushed the address after itself: INT n, INT3, INTO or ICEBP. A fault
    /// pushes the address of its own instruction. Source: Intel SDM, volume 3, "Exception and interrupt vectors".
    ///
    /// - Returns: Its length, 0 for a fault; and whether it is an INT n.
    private func instruction(raising vector: UInt8, before address: SegmentedAddress) -> (UInt16, isSoftware: Bool) {
        func byte(_ distance: UInt16) -> UInt8? {
            let linear = UInt64(address.segment) << 4 &+ UInt64(address.offset &- distance)
            return try? machine.memory.load(UInt8.self, at: GuestPhysicalAddress(linear))
        }
        if byte(2) == 0xcd, byte(1) == vector { return (2, true) }
        let trapping: UInt8? =
            switch vector {
            case 1: 0xf1
            case 3: 0xcc
            case 4: 0xce
            default: nil
            }
        return trapping != nil && byte(1) == trapping ? (1, false) : (0, false)
    }
}
