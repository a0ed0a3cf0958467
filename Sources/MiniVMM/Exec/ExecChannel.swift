import GuestImages

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
    private let finish: @Sendable (RunEnding) -> Void

    /// Makes the device.
    ///
    /// - Parameters:
    ///   - memory: The guest's memory, in which the window is.
    ///   - output: Where standard output goes.
    ///   - error: Where standard error goes.
    ///   - input: Where standard input comes from.
    ///   - finish: Ends the run; called for each report of the program's end, and when output cannot be written.
    /// - Throws: ``ExecError/noWindow(_:)`` when the guest's memory ends before the window does.
    init(
        memory: GuestMemory,
        output: ExecOutput,
        error: ExecOutput,
        input: ExecInput,
        finish: @escaping @Sendable (RunEnding) -> Void
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
        self.finish = finish
    }

    /// Gives the guest input. There is nothing else to be read.
    func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64 {
        guard width == .long, offset == Register.input else { return width.allOnes }
        return window.withBytes(at: Int(EXEC_INPUT_OFFSET), count: Int(EXEC_INPUT_SIZE)) { memory in
            switch input.fetch(into: memory) {
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
        case Register.status: finish(RunEnding(execStatus: value))
        default: break
        }
    }

    private func write(_ count: UInt32, to stream: ExecOutput) {
        let size = min(Int(count), Int(EXEC_OUTPUT_SIZE))
        let failure = window.withBytes(at: Int(EXEC_OUTPUT_OFFSET), count: size) { stream.write(.init($0)) }
        window.withBytes(at: Int(EXEC_RESULT_OFFSET), count: MemoryLayout<UInt32>.size) { memory in
            let result = UInt32(truncatingIfNeeded: failure?.rawValue ?? 0)
            memory.storeBytes(of: result.littleEndian, as: UInt32.self)
        }
        // That a reader has gone, the program hears by SIGPIPE, as it would here. There is no way to tell it of a full
        // disk, and its output must not get lost in silence.
        if let failure, failure != .brokenPipe { finish(.failed(ExecError.outputNotWritable(failure))) }
    }

    private enum Register {
        static let output = UInt64(EXEC_REGISTER_STDOUT)
        static let error = UInt64(EXEC_REGISTER_STDERR)
        static let input = UInt64(EXEC_REGISTER_STDIN)
        static let status = UInt64(EXEC_REGISTER_STATUS)
    }
}
