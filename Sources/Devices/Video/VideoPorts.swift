import Host
package import Memory

/// The ports of a PC's color display that guests wait for or read back: the registers of its CRT controller, in which
/// the cursor is, and its status, from which retraces are told. There is no picture.
///
/// Two devices: ``registers`` at 0x3D4 (index) and 0x3D5 (data), ``status`` at 0x3DA.
///
/// Source: IBM VGA XGA Technical Reference, "CRT Controller Registers", "Input Status Register 1".
///
/// State is kept in order by a lock.
package final class VideoPorts: Sendable {
    private struct State {
        var index: UInt8 = 0
        /// None before the first access: most guests make none.
        var registers: [UInt8] = []

        mutating func prepare() {
            guard registers.isEmpty else { return }
            registers = [UInt8](repeating: 0, count: VideoPorts.registerCount)
            (registers[0x0A], registers[0x0B]) = VideoPorts.cursorShape
        }
    }

    /// The registers that there are: 00h to 18h.
    private static let registerCount = 0x19
    private static let cursorShape: (start: UInt8, end: UInt8) = (0x06, 0x07)

    private let state = Locked(State())
    private let now: @Sendable () -> UInt64

    /// Makes the ports.
    ///
    /// - Parameter now: Nanoseconds that never go back.
    package init(now: @escaping @Sendable () -> UInt64 = HostClock.monotonicNanoseconds) {
        self.now = now
    }

    /// Ports 0x3D4 and 0x3D5.
    package var registers: RegisterPorts { RegisterPorts(self) }

    /// Port 0x3DA.
    package var status: StatusPort { StatusPort(self) }

    private func read(_ offset: UInt16) -> UInt8 {
        state.withLock { state in
            if offset == 0 { return state.index }
            state.prepare()
            return Int(state.index) < state.registers.count ? state.registers[Int(state.index)] : 0
        }
    }

    private func write(_ offset: UInt16, _ value: UInt8) {
        state.withLock { state in
            state.prepare()
            if offset == 0 {
                state.index = value
            } else if Int(state.index) < state.registers.count {
                state.registers[Int(state.index)] = value
            }
        }
    }

    private static let isBlank: UInt8 = 1 << 0
    private static let isRetracing: UInt8 = 1 << 3
    /// A line, and the part of it that is shown, in nanoseconds; a frame, at 70 Hz, and its 400 of 449 lines that are.
    private static let line: (all: UInt64, shown: UInt64) = (31_778, 25_422)
    private static let frame: (all: UInt64, shown: UInt64) = (449 * 31_778, 400 * 31_778)

    private func readStatus() -> UInt8 {
        let time = now()
        if time % Self.frame.all >= Self.frame.shown { return Self.isRetracing | Self.isBlank }
        return time % Self.line.all >= Self.line.shown ? Self.isBlank : 0
    }

    /// Ports 0x3D4 and 0x3D5.
    package final class RegisterPorts: PortIODevice {
        private let video: VideoPorts

        fileprivate init(_ video: VideoPorts) {
            self.video = video
        }

        /// Reads the index, or the register that it names.
        package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
            UInt32(video.read(offset))
        }

        /// Writes the index, or the register that it names.
        package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
            video.write(offset, UInt8(truncatingIfNeeded: value))
        }
    }

    /// Port 0x3DA.
    package final class StatusPort: PortIODevice {
        private let video: VideoPorts

        fileprivate init(_ video: VideoPorts) {
            self.video = video
        }

        /// Reads whether there is a retrace.
        package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
            UInt32(video.readStatus())
        }

        /// There is nothing to write here that matters without a picture.
        package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {}
    }
}

/// The ports of a display.
public struct VideoRegisters: Component {
    /// Where a PC with a color display has its CRT controller.
    package static let registerPorts: ClosedRange<UInt16> = 0x3D4...0x3D5
    /// Where it has the status.
    package static let statusPort: UInt16 = 0x3DA

    /// The ports.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let video = VideoPorts()
        attachments.ports(video.registers, named: "CRT controller", at: Self.registerPorts)
        attachments.ports(video.status, named: "video status", at: Self.statusPort...Self.statusPort)
    }
}
