public import ArgumentParser
import Boot
import Counters
public import Host
public import Logging
public import Memory
import MiniVMM
import Report

extension CounterLeaves: ExpressibleByArgument {}
extension ExitNumbering: ExpressibleByArgument {}
extension ExitScope: ExpressibleByArgument {}
extension ExitProfile.Weight: ExpressibleByArgument {}
extension CPUIDTrap: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}

extension ByteCount: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}

extension CPUList: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}

extension SegmentedAddress: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}

/// An address on the command line: hexadecimal after `0x`, else decimal.
struct AddressArgument: ExpressibleByArgument {
    let value: UInt64

    init?(argument: String) {
        let parsed =
            argument.lowercased().hasPrefix("0x") ? UInt64(argument.dropFirst(2), radix: 16) : UInt64(argument)
        guard let parsed else { return nil }
        value = parsed
    }
}

/// A module of a Multiboot kernel on the command line: a file, and behind a colon what the kernel is told of it.
struct ModuleArgument: ExpressibleByArgument {
    let value: GuestModule

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = parts.first, !path.isEmpty else { return nil }
        value = GuestModule(path: String(path), text: parts.count > 1 ? String(parts[1]) : nil)
    }
}
