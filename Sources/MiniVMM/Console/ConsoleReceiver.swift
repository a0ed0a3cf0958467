/// A device that takes console input for the guest.
protocol ConsoleReceiver: Sendable {
    /// Whether the guest would take a byte now. If not, the device calls when it would.
    func isReadyToReceive() -> Bool

    /// Gives the guest bytes, and returns how many it took. If that is not all, the device calls when it would take more.
    func receive(_ bytes: ArraySlice<UInt8>) -> Int

    /// Notes that there will be no more.
    func end()

    /// Whether the guest takes bytes when they come, and not when it wants some: then it needs pauses to handle them.
    var needsPauses: Bool { get }
}

extension ConsoleReceiver {
    /// Most devices hold bytes until the guest asks.
    var needsPauses: Bool { false }
}

extension Serial16550: ConsoleReceiver {
    /// A serial line has no end.
    func end() {}

    /// Linux takes bytes in its interrupt handler.
    var needsPauses: Bool { true }
}
