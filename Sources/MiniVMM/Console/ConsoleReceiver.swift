/// A device that takes console input for the guest.
protocol ConsoleReceiver: Sendable {
    /// Whether the guest would take a byte now. If not, the device calls when it would.
    func isReadyToReceive() -> Bool

    /// Gives the guest bytes, and returns how many it took. If that is not all, the device calls when it would take more.
    func receive(_ bytes: ArraySlice<UInt8>) -> Int

    /// Notes that there will be no more.
    func end()
}

extension Serial16550: ConsoleReceiver {
    /// A serial line has no end.
    func end() {}
}
