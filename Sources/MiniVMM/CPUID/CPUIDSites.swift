/// The places in a guest's image where CPUID instructions stand, or may stand.
public struct CPUIDSites: Hashable, Sendable {
    /// The bytes of CPUID. Source: Intel SDM, volume 2.
    static let opcode: [UInt8] = [0x0f, 0xa2]

    /// Linear addresses, ascending, each once.
    public let addresses: [UInt64]

    /// The given addresses.
    public init(addresses: some Sequence<UInt64>) {
        self.addresses = Set(addresses).sorted()
    }

    /// The addresses in an image at which the bytes of CPUID stand. Some may be data, or the middle of another
    /// instruction.
    public init(scanning image: [UInt8], loadedAt start: UInt64) {
        var found: [UInt64] = []
        for index in image.indices.dropLast() {
            guard image[index] == Self.opcode[0], image[index + 1] == Self.opcode[1] else { continue }
            found.append(start &+ UInt64(index))
        }
        addresses = found
    }

    /// Whether an address is a site.
    func contains(_ address: UInt64) -> Bool {
        var low = 0
        var high = addresses.count
        while low < high {
            let middle = low + (high - low) / 2
            if addresses[middle] < address { low = middle + 1 } else { high = middle }
        }
        return low < addresses.count && addresses[low] == address
    }
}
