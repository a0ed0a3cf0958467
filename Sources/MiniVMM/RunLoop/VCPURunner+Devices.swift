import CKVM
import Counters
import Devices
import Host
import KVM
import Memory

/// Port I/O and MMIO: the frequent exits.
extension VCPURunner {
    @inline(__always)
    func writePort(_ access: PortAccess) {
        guard access.isByte else { return writePortItems(access) }
        if !machine.ports.write(access.port, .byte, UInt32(access.byte)) {
            unclaimed.recordPort(access.port, isWrite: true)
        }
    }

    @inline(__always)
    func readPort(_ access: PortAccess) {
        guard access.isByte else { return readPortItems(access) }
        if let value = machine.ports.read(access.port, .byte) {
            access.byte = UInt8(truncatingIfNeeded: value)
        } else {
            access.byte = .max
            unclaimed.recordPort(access.port, isWrite: false)
        }
    }

    /// Writes what is wider than a byte or more than one item, as string instructions with a repeat prefix have it.
    @inline(never)
    private func writePortItems(_ access: PortAccess) {
        var isClaimed = true
        for index in 0..<access.count {
            isClaimed = machine.ports.write(access.port, access.width, access.item(index))
        }
        if !isClaimed { unclaimed.recordPort(access.port, isWrite: true) }
    }

    /// Reads what is wider than a byte or more than one item.
    @inline(never)
    private func readPortItems(_ access: PortAccess) {
        var isClaimed = true
        for index in 0..<access.count {
            let value = machine.ports.read(access.port, access.width)
            isClaimed = value != nil
            access.setItem(index, value ?? .max)
        }
        if !isClaimed { unclaimed.recordPort(access.port, isWrite: false) }
    }

    @inline(__always)
    func writeMMIO(_ access: MMIOAccess) {
        guard let width = access.width, machine.mmio.write(access.address, width, access.value) else {
            unclaimed.recordMMIO(access.address, isWrite: true)
            return
        }
    }

    @inline(__always)
    func readMMIO(_ access: MMIOAccess) {
        guard let width = access.width, let value = machine.mmio.read(access.address, width) else {
            unclaimed.recordMMIO(access.address, isWrite: false)
            access.setValue(.max)
            return
        }
        access.setValue(value)
    }
}

/// The ports and addresses that a vCPU's guest code touched although nobody claims them.
///
/// For one thread at a time. Recording takes no lock and allocates nothing; the memory is bounded whatever the guest
/// does.
// Safe to use: the tables have an entry for each port and are allocated with the object.
@safe
final class UnclaimedAccesses {
    private static let portCount = 0x1_0000
    /// The ports of a word of `touched`.
    private static let portsPerWord = 64
    /// How many pages of MMIO are told apart; accesses to further ones are counted together.
    static let maximumPageCount = 64

    /// Reads of each port, then writes of each. Saturating.
    private let ports: UnsafeMutablePointer<UInt32>
    /// A bit a port, set once it was touched: looking for those in `ports` would read half a megabyte of zeros.
    private let touched: UnsafeMutablePointer<UInt64>
    /// The pages of MMIO that were touched, the first `pageCount` of ``maximumPageCount``. By their address, because
    /// changing an array's element costs more than the rest of an exit.
    private let pages: UnsafeMutablePointer<UnclaimedAddress>
    private var pageCount = 0
    /// The number of the page that was touched last: mostly the next one, too.
    private var lastPage = 0
    /// Accesses to pages that there was no room for.
    private(set) var otherMMIO: UInt64 = 0

    /// - Throws: `ResourceError` when the system refuses the memory.
    init() throws(ResourceError) {
        unsafe touched = try unsafe zeroedMemory(of: UInt64.self, count: Self.portCount / Self.portsPerWord)
        do {
            unsafe ports = try unsafe zeroedMemory(of: UInt32.self, count: 2 * Self.portCount)
        } catch {
            unsafe free(touched)
            throw error
        }
        unsafe pages = .allocate(capacity: Self.maximumPageCount)
    }

    deinit {
        unsafe free(ports)
        unsafe free(touched)
        unsafe pages.deallocate()
    }

    @inline(__always)
    func recordPort(_ port: UInt16, isWrite: Bool) {
        // Sound: the index is below twice the number of ports.
        let counter = unsafe ports + (Int(port) &+ (isWrite ? Self.portCount : 0))
        if unsafe counter.pointee != .max { unsafe counter.pointee &+= 1 }
        // Sound: a port is less than the number of bits.
        unsafe touched[Int(port) / Self.portsPerWord] |= 1 << (UInt64(port) % UInt64(Self.portsPerWord))
    }

    @inline(__always)
    func recordMMIO(_ address: GuestPhysicalAddress, isWrite: Bool) {
        let page = address.rawValue & ~(GuestMemory.pageSize &- 1)
        // Sound: when there is a page, `lastPage` is the number of one, and `findPage` leaves one there.
        let isLast = unsafe lastPage < pageCount && pages[lastPage].address == page
        guard isLast || findPage(page) else {
            otherMMIO &+= 1
            return
        }
        if isWrite { unsafe pages[lastPage].writes &+= 1 } else { unsafe pages[lastPage].reads &+= 1 }
    }

    /// Makes a page the last one touched; adds it, if it is new.
    ///
    /// - Returns: Whether it was there, or there was room for it.
    @inline(never)
    private func findPage(_ page: UInt64) -> Bool {
        // Sound: the first `pageCount` are initialized.
        for index in 0..<pageCount where unsafe pages[index].address == page {
            lastPage = index
            return true
        }
        guard pageCount < Self.maximumPageCount else { return false }
        // Sound: there is room for `maximumPageCount`, and nothing in them that would have to be released.
        unsafe (pages + pageCount).initialize(to: UnclaimedAddress(address: page, reads: 0, writes: 0))
        lastPage = pageCount
        pageCount += 1
        return true
    }

    /// The ports that were touched, in ascending order.
    var touchedPorts: [UnclaimedAddress] {
        var addresses: [UnclaimedAddress] = []
        for word in 0..<(Self.portCount / Self.portsPerWord) {
            var bits = unsafe touched[word]
            while bits != 0 {
                let port = word * Self.portsPerWord + bits.trailingZeroBitCount
                let writes = unsafe ports[port + Self.portCount]
                unsafe addresses.append(
                    UnclaimedAddress(address: UInt64(port), reads: UInt64(ports[port]), writes: UInt64(writes)))
                // Clears the lowest bit that is set.
                bits &= bits &- 1
            }
        }
        return addresses
    }

    /// The pages of MMIO that were touched, in ascending order.
    var touchedPages: [UnclaimedAddress] {
        // Sound: the first `pageCount` are initialized.
        unsafe UnsafeBufferPointer(start: pages, count: pageCount).sorted { $0.address < $1.address }
    }
}
