import Counters
public import Devices
import GuestImages
import Host
import Memory

/// The device through which a guest's init passes a program's standard streams and its end; `exec_channel.h` describes
/// it from the guest's side.
///
/// Whoever is in the guest's kernel can do with it what init can: write to the streams, read the input, end the run.
/// Nothing that a guest does makes it read or write beyond the window, or hold more than ``ExecInput/capacity``.
///
/// Each stream keeps itself in order; the window is the guest's memory, to be changed by the guest at any time, and
/// nothing in it is taken for anything but the program's bytes. The closures are called on the vCPU's thread.
final class ExecChannel: MMIODevice {
    /// Where the guest finds the registers.
    static let address = GuestPhysicalAddress(UInt64(EXEC_REGISTERS_ADDRESS))
    /// The bytes that the registers take.
    static let size = UInt64(EXEC_REGISTERS_SIZE)

    private let window: GuestWindow
    private let output: ExecOutput
    private let error: ExecOutput
    private let input: ExecInput
    private let symbols: ProgramSymbols?
    private let finish: @Sendable (MachineEvent) -> Void

    /// Makes the device.
    ///
    /// - Parameters:
    ///   - memory: The guest's memory, in which the window is.
    ///   - output: Where standard output goes.
    ///   - error: Where standard error goes.
    ///   - input: Where standard input comes from.
    ///   - symbols: Where what names addresses goes, if it is wanted.
    ///   - finish: Ends the run; called for each report of the program's end, and when output cannot be written.
    /// - Throws: ``ExecError/noWindow(_:)`` when the guest's memory ends before the window does.
    init(
        memory: GuestMemory,
        output: ExecOutput,
        error: ExecOutput,
        input: ExecInput,
        symbols: ProgramSymbols? = nil,
        finish: @escaping @Sendable (MachineEvent) -> Void
    ) throws(ExecError) {
        do {
            window = try GuestWindow(
                memory, at: GuestPhysicalAddress(UInt64(EXEC_WINDOW_ADDRESS)), size: Int(EXEC_WINDOW_SIZE))
        } catch {
            throw .noWindow(error)
        }
        self.output = output
        self.error = error
        self.input = input
        self.symbols = symbols
        self.finish = finish
    }

    /// Gives the guest input. There is nothing else to be read.
    func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64 {
        guard width == .long, offset == Register.input else { return width.allOnes }
        return unsafe window.withBytes(at: Int(EXEC_INPUT_OFFSET), count: Int(EXEC_INPUT_SIZE)) { memory in
            switch unsafe input.fetch(into: memory) {
            case .bytes(let count): UInt64(count)
            case .end: UInt64(EXEC_INPUT_END)
            }
        }
    }

    /// Takes output, or the report of the program's end.
    func writeMMIO(_ offset: UInt64, width: AccessWidth, value: UInt64) {
        guard width == .long else { return }
        let value = UInt32(truncatingIfNeeded: value)
        switch offset {
        case Register.output: write(value, to: output)
        case Register.error: write(value, to: error)
        case Register.symbols: take(value, as: .kernel)
        case Register.mappings: take(value, as: .mappings)
        case Register.status: finish(ProgramReport.event(value))
        default: break
        }
    }

    private func write(_ count: UInt32, to stream: ExecOutput) {
        let size = min(Int(count), Int(EXEC_OUTPUT_SIZE))
        let failure = unsafe window.withBytes(at: Int(EXEC_OUTPUT_OFFSET), count: size) {
            unsafe stream.write(.init($0))
        }
        unsafe window.withBytes(at: Int(EXEC_RESULT_OFFSET), count: MemoryLayout<UInt32>.size) { memory in
            let result = UInt32(truncatingIfNeeded: failure?.rawValue ?? 0)
            unsafe memory.storeBytes(of: result.littleEndian, as: UInt32.self)
        }
        // That a reader has gone, the program hears by SIGPIPE, as it would here. There is no way to tell it of a full
        // disk, and its output must not get lost in silence.
        if let failure, failure != .brokenPipe { finish(.failed(ExecError.outputNotWritable(failure))) }
    }

    private func take(_ count: UInt32, as text: ProgramSymbols.Text) {
        guard let symbols else { return }
        let size = min(Int(count), Int(EXEC_OUTPUT_SIZE))
        unsafe window.withBytes(at: Int(EXEC_OUTPUT_OFFSET), count: size) { unsafe symbols.append(.init($0), to: text) }
    }

    private enum Register {
        static let output = UInt64(EXEC_REGISTER_STDOUT)
        static let error = UInt64(EXEC_REGISTER_STDERR)
        static let input = UInt64(EXEC_REGISTER_STDIN)
        static let status = UInt64(EXEC_REGISTER_STATUS)
        static let symbols = UInt64(EXEC_REGISTER_SYMBOLS)
        static let mappings = UInt64(EXEC_REGISTER_MAPPINGS)
    }
}

/// What a guest's init has reported of its program.
enum ProgramReport {
    /// What the status means.
    static func event(_ status: UInt32) -> MachineEvent {
        if status & UInt32(EXEC_FAILURE) != 0 {
            let step = (status & ~UInt32(EXEC_FAILURE)) >> UInt32(EXEC_FAILURE_SHIFT)
            guard let step = ExecStep(rawValue: step) else { return .failed(ExecError.unknownStatus(status)) }
            let number = Int32(status & ((1 << UInt32(EXEC_FAILURE_SHIFT)) - 1))
            return .failed(ExecError.initFailed(step, ErrorNumber(rawValue: number)))
        }
        // As wait4(2) has it: a signal in bits 0 to 6, 0 for none, with bit 7 for a core dump; else a status in bits 8
        // to 15. Signal 127 stands for a process that was stopped, of which init does not report.
        let signal = Int32(status & 0x7f)
        return switch (status > 0xffff, signal) {
        case (true, _), (_, 0x7f): .failed(ExecError.unknownStatus(status))
        case (_, 0): .programExited(UInt8(truncatingIfNeeded: status >> 8))
        case (_, let signal): .programKilled(signal)
        }
    }
}

/// The way to the program of a guest that was made for one: its standard streams and its end.
public struct ProgramChannel: Component {
    /// Where the program's output leads.
    public var streams: ExecStreams
    /// Where what names the guest's addresses goes, if it is wanted: the guest must have been made to send it.
    public var symbols: ProgramSymbols?

    /// The page of addresses by which the guest's init talks to the channel: no program's own.
    public static let page = ExecChannel.address.rawValue

    /// Where init's code starts in its address space.
    public static let initAddress = UInt64(EXEC_INIT_ADDRESS)

    /// A channel with the given streams.
    public init(_ streams: ExecStreams = ExecStreams(), symbols: ProgramSymbols? = nil) {
        self.streams = streams
        self.symbols = symbols
    }

    public func attach(to attachments: inout Attachments) throws {
        let machine = attachments.machine
        let (serial, bell) = (attachments.serial, machine.inputBell)
        let input = ExecInput(
            // A byte that the port does not take is one more than it holds: then it rings already.
            ringGuest: { _ = serial?.receive(CollectionOfOne(0)) },
            wakeReader: { bell.ring() }
        )
        let channel = try ExecChannel(
            memory: machine.memory,
            output: ExecOutput(descriptor: streams.output, shouldGiveUp: machine.isEnding),
            error: ExecOutput(descriptor: streams.error, shouldGiveUp: machine.isEnding),
            input: input,
            symbols: symbols,
            finish: machine.end
        )
        try attachments.mmio(channel, named: "program", at: ExecChannel.address, size: ExecChannel.size)
        attachments.receiver = input
    }
}

/// What names the addresses of a program and its kernel, as the guest's init tells it.
public final class ProgramSymbols: Sendable {
    /// What is told.
    enum Text {
        /// The kernel's symbols.
        case kernel
        /// The program's mappings.
        case mappings

        /// How many bytes are kept: more than any kernel has, and more than the mappings of programs, some ten thousand.
        fileprivate var limit: Int { self == .kernel ? 1 << 26 : 1 << 20 }
    }

    private let texts = Locked<[Text: [UInt8]]>([:])

    /// None yet.
    public init() {}

    /// The kernel's symbols that were sent so far, in the form of /proc/kallsyms.
    public var kernel: [UInt8] { bytes(of: .kernel) }

    /// The program's mappings just before it ended, in the form of /proc/PID/maps. Empty where it was killed.
    public var mappings: [UInt8] { bytes(of: .mappings) }

    private func bytes(of text: Text) -> [UInt8] { texts.withLock { $0[text] ?? [] } }

    /// Takes a part of a text, as long as there is not too much.
    func append(_ part: UnsafeRawBufferPointer, to text: Text) {
        // Sound: the bytes are copied, in order, before the call returns.
        let part = unsafe Array(part)
        texts.withLock { texts in
            if texts[text, default: []].count + part.count <= text.limit { texts[text, default: []] += part }
        }
    }
}

/// Where the output of a guest's program leads on the host. Its input is the machine's, `Machine.run(timeout:input:)`.
public struct ExecStreams: Hashable, Sendable {
    /// The descriptor that standard output goes to.
    public var output: Int32
    /// The descriptor that standard error goes to.
    public var error: Int32

    /// Streams; by default those of this process.
    public init(output: Int32 = 1, error: Int32 = 2) {
        self.output = output
        self.error = error
    }
}
