/// A port, or a page of addresses without memory, that nobody claims and a guest touched all the same.
public struct UnclaimedAddress: Hashable, Sendable {
    /// The port, or the first address of the page.
    public let address: UInt64
    /// How often it was read; a string instruction counts once.
    public internal(set) var reads: UInt64
    /// How often it was written; a string instruction counts once.
    public internal(set) var writes: UInt64
}

extension UnclaimedAddress {
    /// The sums over several vCPUs, in ascending order.
    static func sum(_ lists: [[UnclaimedAddress]]) -> [UnclaimedAddress] {
        var sums: [UInt64: UnclaimedAddress] = [:]
        for address in lists.joined() {
            sums[address.address, default: UnclaimedAddress(address: address.address, reads: 0, writes: 0)]
                .add(address)
        }
        return sums.values.sorted { $0.address < $1.address }
    }

    private mutating func add(_ other: UnclaimedAddress) {
        reads &+= other.reads
        writes &+= other.writes
    }
}
