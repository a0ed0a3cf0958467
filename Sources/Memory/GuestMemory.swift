import CKVM
public import Host

/// The guest's physical memory: one mapping of this process's memory per region.
///
/// Every access is checked against the regions, and no access crosses from one into another. The guest may write while
/// MiniVMM reads: what is read is then some mix of old and new bytes, and callers treat it as the guest's word, which
/// it is. Nothing read is ever trusted as an address or a length without a check.
public final class GuestMemory: Sendable {
    /// A stretch of guest-physical addresses with memory behind it.
    // Safe to use: the address is not public, and every access goes through the checks of GuestMemory.
    @safe
    public struct Region: Sendable {
        /// The first address.
        public let start: GuestPhysicalAddress
        /// Bytes; a multiple of the page size.
        public let size: UInt64
        /// Where this process sees the region. Valid for as long as the ``GuestMemory`` that it belongs to.
        ///
        /// Sound to share between threads: the address never changes; see ``GuestMemory`` for the accesses.
        @usableFromInline
        package nonisolated(unsafe) let hostAddress: UnsafeMutableRawPointer

        /// The address after the last; regions end below 2^64, which their making checks.
        @inlinable
        package var end: UInt64 { start.rawValue &+ size }
    }

    /// The bytes of a page. Source: Intel SDM, volume 3, "Paging".
    @inlinable public static var pageSize: UInt64 { 4096 }

    /// The regions, in ascending order.
    public let regions: [Region]

    /// The bytes of all regions together.
    public let size: UInt64

    /// All regions are cut out of one mapping. Around each lie pages that nothing can touch: whatever runs past its end
    /// ends the process, and reads or changes nothing.
    private let mapping: MemoryMapping

    /// Makes memory for stretches of guest-physical addresses. The memory is zero, and is taken from the system as the
    /// guest touches it.
    ///
    /// - Parameter layout: Start and size in bytes of each region, ascending, in whole pages.
    /// - Throws: ``GuestMemoryError`` when the layout is impossible or the system refuses the memory.
    public convenience init(
        layout: [(start: GuestPhysicalAddress, size: UInt64)]
    ) throws(GuestMemoryError) {
        try self.init(layout: layout, systemCalls: .live)
    }

    package init(
        layout: [(start: GuestPhysicalAddress, size: UInt64)],
        systemCalls: MemorySystemCalls
    ) throws(GuestMemoryError) {
        let total = try Self.checkedTotal(layout)
        var address: UnsafeMutableRawPointer?
        // A large page where the regions are made of such, so that they stay aligned to them.
        let guardSize = total >= Int(CKVM_LARGE_MEMORY) ? Int(CKVM_LARGE_PAGE) : Int(Self.pageSize)
        let (mappedSize, overflow) = total.addingReportingOverflow(guardSize * (layout.count + 1))
        guard !overflow else { throw .invalidLayout }
        let result = unsafe systemCalls.mapAnonymous(mappedSize, &address)
        guard result >= 0, let address = unsafe address else {
            throw .refused(byteCount: UInt64(total), ErrorNumber(rawValue: 0 &- result))
        }
        mapping = unsafe MemoryMapping(takingOver: address, size: mappedSize)
        size = UInt64(total)
        var offset = guardSize
        // Sound: the sizes add up to the mapping's, so every region and every guard lies inside it.
        unsafe mprotect(address, guardSize, PROT_NONE)
        regions = layout.map { start, size in
            let region = unsafe Region(start: start, size: size, hostAddress: address + offset)
            offset += Int(size)
            unsafe mprotect(address + offset, guardSize, PROT_NONE)
            offset += guardSize
            return region
        }
    }

    /// The sum of the sizes of a layout that holds together.
    private static func checkedTotal(
        _ layout: [(start: GuestPhysicalAddress, size: UInt64)]
    ) throws(GuestMemoryError) -> Int {
        var total = 0
        var lowestFree: UInt64 = 0
        for (start, size) in layout {
            let (end, pastEnd) = start.rawValue.addingReportingOverflow(size)
            guard size > 0, size % pageSize == 0, start.rawValue % pageSize == 0, !pastEnd,
                start.rawValue >= lowestFree, let count = Int(exactly: size)
            else { throw .invalidLayout }
            let (sum, overflow) = total.addingReportingOverflow(count)
            guard !overflow else { throw .invalidLayout }
            total = sum
            lowestFree = end
        }
        guard total > 0 else { throw .invalidLayout }
        return total
    }

    /// Where this process sees `byteCount` bytes at `address`, or nil when they do not lie in one region.
    @inlinable
    @inline(__always)
    func hostAddress(
        of address: GuestPhysicalAddress,
        byteCount: UInt64
    ) -> UnsafeMutableRawPointer? {
        for region in regions {
            // Subtractions in this order cannot wrap: the address is at or after the start, and before the end.
            guard address >= region.start, address.rawValue < region.end else { continue }
            let offset = address.rawValue &- region.start.rawValue
            guard byteCount <= region.size &- offset else { return nil }
            // Sound: offset + byteCount <= size, which was an Int when the region was made.
            return unsafe region.hostAddress + Int(truncatingIfNeeded: offset)
        }
        return nil
    }

    @inlinable
    func checkedHostAddress(
        of address: GuestPhysicalAddress,
        byteCount: Int
    ) throws(GuestMemoryError) -> UnsafeMutableRawPointer {
        let count = UInt64(byteCount)
        guard let host = unsafe hostAddress(of: address, byteCount: count) else {
            throw .outOfBounds(address: address, byteCount: count)
        }
        return unsafe host
    }

    /// Whether `byteCount` bytes at `address` lie in one region.
    public func contains(_ address: GuestPhysicalAddress, byteCount: UInt64) -> Bool {
        unsafe hostAddress(of: address, byteCount: byteCount) != nil
    }

    /// Takes the right to write a page away from this process and gives it back, so that KVM maps the page anew. Where
    /// there is no memory, nothing happens.
    package func protectAnew(pageOf address: GuestPhysicalAddress) {
        let start = GuestPhysicalAddress(address.rawValue & ~(Self.pageSize &- 1))
        guard let page = unsafe hostAddress(of: start, byteCount: Self.pageSize) else { return }
        // Sound: the page is one of a region's, and is for reading and writing again before this returns. Neither call
        // changes what is in it; a write by another thread in between is the guest's own doing, and faults in KVM.
        unsafe mprotect(page, Int(Self.pageSize), PROT_READ)
        unsafe mprotect(page, Int(Self.pageSize), PROT_READ | PROT_WRITE)
    }

    /// Reads a little-endian integer.
    ///
    /// - Throws: ``GuestMemoryError/outOfBounds(address:byteCount:)``.
    @inlinable
    public func load<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self,
        at address: GuestPhysicalAddress
    ) throws(GuestMemoryError) -> Value {
        let host = try unsafe checkedHostAddress(of: address, byteCount: MemoryLayout<Value>.size)
        // Sound: the check covers every byte of Value, and an unaligned load of a bitwise-copyable type is defined.
        return unsafe Value(littleEndian: host.loadUnaligned(as: Value.self))
    }

    /// Writes a little-endian integer.
    ///
    /// - Throws: ``GuestMemoryError/outOfBounds(address:byteCount:)``.
    @inlinable
    public func store<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value,
        at address: GuestPhysicalAddress
    ) throws(GuestMemoryError) {
        let host = try unsafe checkedHostAddress(of: address, byteCount: MemoryLayout<Value>.size)
        // Sound: as for load.
        unsafe host.storeBytes(of: value.littleEndian, as: Value.self)
    }

    /// Copies bytes into the guest.
    ///
    /// - Throws: ``GuestMemoryError/outOfBounds(address:byteCount:)``; then nothing was written.
    public func write(_ bytes: [UInt8], at address: GuestPhysicalAddress) throws(GuestMemoryError) {
        try write(bytes[...], at: address)
    }

    /// Copies a part of an array into the guest, without a copy of that part on the way.
    ///
    /// - Throws: ``GuestMemoryError/outOfBounds(address:byteCount:)``; then nothing was written.
    public func write(_ bytes: ArraySlice<UInt8>, at address: GuestPhysicalAddress) throws(GuestMemoryError) {
        guard !bytes.isEmpty else { return }
        let host = try unsafe checkedHostAddress(of: address, byteCount: bytes.count)
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            // Sound: both sides hold bytes.count bytes, and an array never overlaps the guest's mapping.
            unsafe host.copyMemory(from: start, byteCount: source.count)
        }
    }

    /// Copies bytes out of the guest.
    ///
    /// - Throws: ``GuestMemoryError/outOfBounds(address:byteCount:)``.
    public func bytes(at address: GuestPhysicalAddress, count: Int) throws(GuestMemoryError) -> [UInt8] {
        guard count > 0 else { return [] }
        let host = try unsafe checkedHostAddress(of: address, byteCount: count)
        // Sound: the check covers count bytes.
        return unsafe [UInt8](UnsafeRawBufferPointer(start: host, count: count))
    }
}

/// The system call by which guest memory is taken, in a place that tests can replace to see what happens when the
/// system refuses. It returns 0, or -errno.
// Safe to use: the closure stores an address and reads none.
@safe
package struct MemorySystemCalls: Sendable {
    package var mapAnonymous: @Sendable (_ size: Int, _ address: inout UnsafeMutableRawPointer?) -> Int32 = {
        unsafe ckvm_map_anonymous($0, &$1)
    }

    package init() {}

    /// The system's own.
    package static let live = MemorySystemCalls()
}

/// What can go wrong with guest memory.
public enum GuestMemoryError: Error, Hashable, Sendable {
    /// The access touches an address that has no memory behind it, or crosses the end of a region.
    case outOfBounds(address: GuestPhysicalAddress, byteCount: UInt64)
    /// The system does not give the memory.
    case refused(byteCount: UInt64, ErrorNumber)
    /// The regions are empty, not made of whole pages, overlap, or pass the end of the address space.
    case invalidLayout
}

extension GuestMemoryError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .outOfBounds(let address, let byteCount):
            "There is no guest memory for \(byteCount) bytes at \(address)."
        case .refused(let byteCount, let error):
            "The system refused \(byteCount >> 20) MiB of guest memory (\(error.name))."
        case .invalidLayout:
            "The regions of guest memory are empty, overlap or are not made of whole pages."
        }
    }
}

/// A stretch of the guest's memory that a device shares with the guest, checked once and for all.
///
/// The guest may change it at any time, while the device looks at it too.
// Safe to use: the window was checked when it was made, it keeps the memory, and a part is checked against it.
@safe
@usableFromInline package struct GuestWindow: Sendable {
    /// Keeps the mapping in place.
    @usableFromInline let memory: GuestMemory
    /// Sound to share between threads: the address never changes; see ``GuestMemory`` for the accesses.
    @usableFromInline nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

    /// A stretch of memory.
    ///
    /// - Parameters:
    ///   - memory: The guest's memory.
    ///   - address: Where it starts.
    ///   - size: Its bytes, at least 1.
    /// - Throws: ``GuestMemoryError/outOfBounds(address:byteCount:)`` when it does not lie in one region.
    package init(_ memory: GuestMemory, at address: GuestPhysicalAddress, size: Int) throws(GuestMemoryError) {
        let region = memory.regions.first { address >= $0.start && address.rawValue < $0.end }
        guard let region, memory.contains(address, byteCount: UInt64(size))
        else { throw .outOfBounds(address: address, byteCount: UInt64(size)) }
        self.memory = memory
        // Sound: the memory that was just found to hold all the bytes is one region, in which the address lies.
        let start = unsafe region.hostAddress + Int(address.rawValue - region.start.rawValue)
        unsafe bytes = unsafe UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    /// Accesses a part. A part that is not wholly inside is a mistake of the program.
    @inlinable
    package func withBytes<Result>(at offset: Int, count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Result)
        -> Result
    {
        // Sound: a slice is checked against the buffer, whose mapping `memory` keeps.
        withExtendedLifetime(memory) {
            unsafe body(UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + count]))
        }
    }
}
