@testable import Devices
@testable import Exec
import Glibc
@testable import Host
@testable import Memory
@testable import MiniVMM

/// What a guest reaches by ports and MMIO.
enum DeviceTargets {
    private static let widths: [AccessWidth] = [.byte, .word, .long, .quad]

    /// Notes what goes nowhere: interrupts, ends of runs.
    private static func machine(_ memory: GuestMemory, _ console: ConsoleOutput, _ bell: Doorbell) -> MachineContext {
        MachineContext(
            memory: memory, readsACPI: true, console: console, inputBell: bell,
            setInterruptLevel: { line, _ in check(line < InterruptLine.count, "line \(line)") },
            isEnding: { false }, end: { _ in })
    }

    static func devices() throws -> ([UInt8]) throws -> Void {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 1 << 20)])
        let output = open("/dev/null", O_WRONLY)
        // These are descriptors, and take long to make.
        let (console, bell) = (try ConsoleOutput(descriptor: output), try Doorbell())
        let channel = ProgramChannel(ExecStreams(output: output, error: output))
        return { bytes in
            try memory.write([UInt8](repeating: 0, count: Int(TextScreen.size)), at: TextScreen.start)
            var attachments = Attachments(machine: machine(memory, console, bell))
            let components: [any Component] = MachineBuilder.standardComponents + [ScreenMemory(), channel]
            for component in components { try component.attach(to: &attachments) }
            let (serial, program) = (attachments.serial, attachments.receiver)
            let ports = try PortBus(attachments.portAttachments)
            let mmio = try MMIOBus(attachments.mmioAttachments)
            var input = FuzzInput(bytes)
            while !input.isEmpty {
                let (what, number) = (input.number(UInt8.self), Int(input.number(UInt8.self)))
                let (offset, value) = (input.number(UInt16.self), input.number(UInt32.self))
                let width = widths[Int(what >> 6)]
                switch what & 7 {
                case 0...3:
                    // Also a port before the first and behind the last.
                    let claim = attachments.portAttachments[number % attachments.portAttachments.count].ports
                    let port = claim.lowerBound &+ offset % (UInt16(claim.count) + 2) &- 1
                    access(ports, port, width == .quad ? .byte : width, what & 1 == 0 ? value : nil)
                case 4, 5:
                    let claim = attachments.mmioAttachments[number % attachments.mmioAttachments.count]
                    let address = claim.start &+ UInt64(offset) % (claim.size + 16) &- 8
                    access(mmio, address, width, what & 1 == 0 ? UInt64(value) << (value & 31) : nil)
                case 6:
                    try memory.store(value, at: TextScreen.start &+ UInt64(offset) % 4000)
                    if number & 1 == 1 { _ = attachments.screen?.look(isLast: number & 2 == 2) }
                default:
                    let bytes = [UInt8](repeating: UInt8(value & 0xff), count: number)[...]
                    let taken = (serial?.receive(bytes) ?? 0, program?.receive(bytes) ?? 0)
                    check(taken.0 <= number && taken.1 <= number, "took \(taken) of \(number)")
                }
            }
            _ = attachments.screen?.look(isLast: true)
        }
    }

    private static func access(_ ports: PortBus, _ port: UInt16, _ width: AccessWidth, _ value: UInt32?) {
        if let value {
            _ = ports.write(port, width, value & UInt32(truncatingIfNeeded: width.allOnes))
        } else if let read = ports.read(port, width) {
            check(UInt64(read) & ~width.allOnes == 0, "more than \(width) from port \(port)")
        }
    }

    private static func access(
        _ mmio: MMIOBus, _ address: GuestPhysicalAddress, _ width: AccessWidth, _ value: UInt64?
    ) {
        if let value {
            _ = mmio.write(address, width, value & width.allOnes)
        } else if let read = mmio.read(address, width) {
            check(read & ~width.allOnes == 0, "more than \(width) from \(address)")
        }
    }

    static func channel() throws -> ([UInt8]) throws -> Void {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 0x20_0000)])
        let null = open("/dev/null", O_WRONLY)
        return { bytes in
            let symbols = ProgramSymbols()
            let program = ExecInput(ringGuest: {}, wakeReader: {})
            let channel = try ExecChannel(
                memory: memory, output: ExecOutput(descriptor: null) { false },
                error: ExecOutput(descriptor: null) { false }, input: program, symbols: symbols, finish: { _ in })
            var input = FuzzInput(bytes)
            while !input.isEmpty {
                let (what, offset, value) = (
                    input.number(UInt8.self), input.number(UInt8.self), input.number(UInt32.self)
                )
                switch what & 7 {
                case 0...3: channel.writeMMIO(UInt64(offset), width: widths[Int(what >> 6)], value: UInt64(value))
                case 4, 5:
                    let read = channel.readMMIO(UInt64(offset), width: widths[Int(what >> 6)])
                    check(read & ~widths[Int(what >> 6)].allOnes == 0, "\(read)")
                case 6:
                    let count = Int(value & 0x1_ffff)
                    check(program.receive([UInt8](repeating: offset, count: count)[...]) <= count, "\(count)")
                default: program.end()
                }
            }
            check(symbols.mappings.count <= 1 << 20 && symbols.kernel.count <= 1 << 26, "symbols without bounds")
        }
    }
}
