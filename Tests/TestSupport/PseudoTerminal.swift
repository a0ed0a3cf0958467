import Foundation
import Synchronization

/// A pseudoterminal: the master's end is the person, the slave's end the terminal of the program under test.
final class PseudoTerminal: Sendable {
    let master: Int32
    let slave: Int32
    private let holdsSlave = Atomic(true)
    /// The device file of the slave.
    let path: String

    init() throws {
        var (master, slave) = (Int32(-1), Int32(-1))
        _ = try ProcessError.check("openpty", openpty(&master, &slave, nil, nil, nil))
        (self.master, self.slave) = (master, slave)
        // Not for the programs that are started, which would keep the terminal open.
        for end in [master, slave] { _ = try ProcessError.check("fcntl", fcntl(end, F_SETFD, FD_CLOEXEC)) }
        path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(slave)")
        makeDistinct()
    }

    deinit {
        leave()
        close(master)
    }

    /// Leaves the slave to those who have been given it: when the last of them has gone, there is nothing to read on
    /// the master any more. The modes stay.
    func leave() {
        if holdsSlave.exchange(false, ordering: .sequentiallyConsistent) { close(slave) }
    }

    /// Modes that differ from the defaults, so that those are not taken for the right ones.
    private func makeDistinct() {
        var modes = termios()
        tcgetattr(master, &modes)
        modes.c_lflag ^= tcflag_t(ECHOE)
        modes.c_cc.0 = 0x1D  // VINTR
        tcsetattr(slave, TCSANOW, &modes)
    }

    /// The terminal's modes, as bytes that can be compared.
    var modes: [UInt8] {
        var modes = termios()
        tcgetattr(master, &modes)
        return withUnsafeBytes(of: &modes) { Array($0) }
    }

    /// Whether the terminal gives every byte as it comes, and takes every byte as it is.
    var isRaw: Bool {
        var modes = termios()
        tcgetattr(master, &modes)
        let local = modes.c_lflag & tcflag_t(ICANON | ECHO | ISIG | IEXTEN)
        let input = modes.c_iflag & tcflag_t(ICRNL | INLCR | IGNCR | IXON | ISTRIP | BRKINT)
        return local == 0 && input == 0 && modes.c_oflag & tcflag_t(OPOST) == 0
    }

    /// Types.
    func type(_ bytes: [UInt8]) {
        writeAll(bytes, to: master)
    }
}
