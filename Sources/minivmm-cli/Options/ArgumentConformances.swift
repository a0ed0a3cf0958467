public import ArgumentParser
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
