/// An address that nobody claims, in the JSON format.
struct UnclaimedRecord: Encodable {
    let address: UInt64
    let reads: UInt64
    let writes: UInt64

    init(_ unclaimed: UnclaimedAddress) {
        address = unclaimed.address
        reads = unclaimed.reads
        writes = unclaimed.writes
    }
}
