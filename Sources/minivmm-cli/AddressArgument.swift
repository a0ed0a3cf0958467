import ArgumentParser

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
