import Counters
import Devices
import MiniVMM

/// What a guest that is a test program is given.
struct TestConfiguration: Hashable, Sendable {
    /// Whether the machine has QEMU's test device.
    var hasDevice = false
    /// What a write to the exit port comes to.
    var exitStyle = ExitStyle.plain

    /// Tells a machine of it.
    func apply(to options: inout MachineOptions) {
        if hasDevice { options.components.append(TestDevice()) }
    }
}

/// What exit status a write to the exit port comes to.
enum ExitStyle: String, CaseIterable, Hashable, Sendable {
    /// What was written.
    case plain
    /// Twice what was written and one more, as with QEMU's isa-debug-exit.
    case qemu

    /// The status of a command that ran the guest.
    ///
    /// - Parameter status: What it is otherwise.
    func status(after ending: RunEnding, _ status: ExitStatus) -> ExitStatus {
        switch (self, ending) {
        case (.plain, _): status
        case (.qemu, .exitPort(let value)): ExitStatus(rawValue: Int32(value) << 1 & 0xff | 1)
        // 1 is a guest that wrote 0.
        case (.qemu, _): status == .guestDied ? .testDied : status
        }
    }
}
