public import Counters
public import Host

/// The circumstances of a run: who asked for what, when, of which machine, on which host.
public struct RunContext: Hashable, Sendable {
    /// The command and its arguments.
    public var command: [String]
    /// When the run began: ISO 8601, in UTC.
    public var startedAt: String
    /// The guest's name: a file's path, or that of a built-in guest.
    public var guest: String
    /// The machine that ran it.
    public var machine: MachineDescription
    /// The host that it ran on.
    public var host: HostDescription
    /// What makes exits cheaper or dearer there, where that was looked at.
    public var conditions: HostConditions?

    /// All that there is to say.
    ///
    /// - Parameters:
    ///   - command: The command and its arguments.
    ///   - startedAt: Seconds since 1970.
    ///   - guest: The guest's name.
    ///   - machine: The machine that ran it.
    ///   - host: The host that it ran on.
    ///   - conditions: What makes exits cheaper or dearer there, where that was looked at.
    public init(
        command: [String], startedAt: Int64, guest: String, machine: MachineDescription,
        host: HostDescription = .current, conditions: HostConditions? = nil
    ) {
        self.conditions = conditions
        self.command = command.map { ForeignText.visible($0) }
        self.startedAt = CalendarTime(secondsSince1970: startedAt).iso8601
        self.guest = ForeignText.visible(guest)
        self.machine = machine
        self.host = host
    }

    /// The words of the command as one could type them into a shell.
    var commandWords: [String] {
        command.map(Self.quoted)
    }

    /// A word as a shell takes it: in single quotes, if it has characters that mean something to shells.
    private static func quoted(_ word: String) -> String {
        let isPlain =
            !word.isEmpty
            && word.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-_./:=,+@%".utf8.contains(byte)
                }
            }
        return isPlain
            ? word
            : "'"
                + word.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
    }
}
