import CKVM

/// The ports and addresses that a vCPU's guest code touched although nobody claims them.
///
/// For one thread at a time. Recording takes no lock and allocates nothing; the memory is bounded whatever the guest
/// does.
final class UnclaimedAccesses {
    private static let portCount = 0x1_0000
    /// How many pages of MMIO are told apart; accesses to further ones are counted together.
    static let greatestPageCount = 64

    /// Reads of each port, then writes of each. Saturating.
    private let ports: UnsafeMutablePointer<UInt32>
    private var pages: [UnclaimedAddress] = []
    private(set) var otherMMIO: UInt64 = 0

    init() {
        // calloc(3) takes the pages from the system as they are touched: most of them never are.
        let memory = calloc(2 * Self.portCount, MemoryLayout<UInt32>.stride)
        guard let memory else { preconditionFailure("calloc returned no memory for the port counters") }
        // Sound: the memory has room for two counters a port, is aligned for any type, and zero is a valid counter.
        ports = memory.bindMemory(to: UInt32.self, capacity: 2 * Self.portCount)
        pages.reserveCapacity(Self.greatestPageCount)
    }

    deinit {
        free(ports)
    }

    @inline(__always)
    func recordPort(_ port: UInt16, isWrite: Bool) {
        // Sound: the index is below twice the number of ports.
        let counter = ports + (Int(port) &+ (isWrite ? Self.portCount : 0))
        if counter.pointee != .max { counter.pointee &+= 1 }
    }

    func recordMMIO(_ address: GuestPhysicalAddress, isWrite: Bool) {
        let page = address.rawValue & ~(GuestMemory.pageSize &- 1)
        let index = pages.firstIndex { $0.address == page } ?? addPage(page)
        guard let index else {
            otherMMIO &+= 1
            return
        }
        if isWrite { pages[index].writes &+= 1 } else { pages[index].reads &+= 1 }
    }

    private func addPage(_ page: UInt64) -> Int? {
        guard pages.count < Self.greatestPageCount else { return nil }
        pages.append(UnclaimedAddress(address: page, reads: 0, writes: 0))
        return pages.count - 1
    }

    /// The ports that were touched, in ascending order.
    var touchedPorts: [UnclaimedAddress] {
        (0..<Self.portCount).compactMap { port in
            let reads = UInt64(ports[port])
            let writes = UInt64(ports[port + Self.portCount])
            return reads | writes == 0
                ? nil : UnclaimedAddress(address: UInt64(port), reads: reads, writes: writes)
        }
    }

    /// The pages of MMIO that were touched, in ascending order.
    var touchedPages: [UnclaimedAddress] { pages.sorted { $0.address < $1.address } }
}
