extension DeviceSet {
    /// The channel to the program of a guest that was made for one.
    struct ProgramChannel {
        /// The device and its place.
        let attachment: MMIOAttachment
        /// What takes the program's input.
        let input: ExecInput
    }

    /// Makes the channel to a program.
    ///
    /// - Parameters:
    ///   - streams: Where the program's output leads.
    ///   - memory: The guest's memory.
    ///   - doorbell: The serial port by which the guest hears of input.
    /// - Throws: ``ExecError/noWindow(_:)``.
    func channel(
        _ streams: ExecStreams, memory: GuestMemory, doorbell: Serial16550
    ) throws(ExecError) -> ProgramChannel {
        let (control, console, bell) = (control, console, inputBell)
        let input = ExecInput(
            // A byte that the port does not take is one more than it holds: then it rings already.
            ringGuest: { _ = doorbell.receive(CollectionOfOne(0)) },
            wakeReader: { bell.ring() }
        )
        let channel = try ExecChannel(
            memory: memory,
            output: ExecOutput(descriptor: streams.output) { control.isStopping },
            error: ExecOutput(descriptor: streams.error) { control.isStopping },
            input: input,
            finish: { control.end($0, flushing: console) }
        )
        let attachment = MMIOAttachment(
            channel, named: "program", at: ExecChannel.address, size: ExecChannel.size)
        return ProgramChannel(attachment: attachment, input: input)
    }
}
