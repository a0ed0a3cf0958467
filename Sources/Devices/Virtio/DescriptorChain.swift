package import CKVM
import Memory

/// Buffers of the guest that stand one behind the other, each checked to be in memory.
///
/// The guest may change what is in them at any time.
package struct GuestBuffers: Sendable {
    private var windows: [GuestWindow] = []
    /// The bytes of all; below 4 GiB.
    package private(set) var byteCount = 0

    package init() {}

    mutating func removeAll() {
        windows.removeAll(keepingCapacity: true)
        byteCount = 0
    }

    mutating func append(_ window: GuestWindow) {
        windows.append(window)
        byteCount += window.count
    }

    /// The parts of the buffers in which a range of the bytes lies, in order.
    ///
    /// - Parameters:
    ///   - range: The bytes, counted from the first of the first buffer. What is past the end is left out.
    ///   - body: Called for each part, with its buffer and where in it the part starts and ends.
    private func forEachPart(_ range: Range<Int>, _ body: (GuestWindow, Range<Int>) -> Void) {
        var start = 0
        for window in windows where start < range.upperBound {
            let end = start + window.count
            let (from, to) = (max(range.lowerBound, start), min(range.upperBound, end))
            if from < to { body(window, from - start..<to - start) }
            start = end
        }
    }

    /// Copies bytes out, once. Past the end there are zeros.
    package func load<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self, at offset: Int
    ) -> Value {
        var value = Value.zero
        var done = 0
        unsafe withUnsafeMutableBytes(of: &value) { target in
            forEachPart(offset..<offset + MemoryLayout<Value>.size) { window, part in
                // Sound: the parts have at most as many bytes as were asked for.
                unsafe window.withBytes(at: part.lowerBound, count: part.count) {
                    unsafe ckvm_copy_shared(target.baseAddress?.advanced(by: done), $0.baseAddress, part.count)
                }
                done += part.count
            }
        }
        return Value(littleEndian: value)
    }

    /// Copies bytes in, as far as there is room behind an offset.
    ///
    /// - Returns: How many.
    @discardableResult
    package func write(_ bytes: ArraySlice<UInt8>, at offset: Int = 0) -> Int {
        var rest = bytes
        forEachPart(offset..<offset + bytes.count) { window, part in
            let piece = rest.prefix(part.count)
            // Sound: the part has as many bytes as the piece.
            unsafe window.withBytes(at: part.lowerBound, count: part.count) { unsafe $0.copyBytes(from: piece) }
            rest = rest.dropFirst(part.count)
        }
        return bytes.count - rest.count
    }

    /// Copies bytes of this process in, as far as there is room behind an offset.
    package func write(copying source: UnsafeRawBufferPointer, at offset: Int) {
        var done = 0
        unsafe withParts(offset..<offset + source.count) { part in
            // Sound: the parts have at most as many bytes as the source.
            unsafe part.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[done..<done + part.count]))
            done += part.count
        }
    }

    /// Lends the memory of a range of the bytes, part by part.
    package func withParts(_ range: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
        forEachPart(range) { window, part in
            unsafe window.withBytes(at: part.lowerBound, count: part.count) { unsafe body($0) }
        }
    }

    /// Copies bytes out, once, as far as there are as many.
    ///
    /// - Parameters:
    ///   - offset: Where the first of them is.
    ///   - target: Where they go; as many as there is room for.
    /// - Returns: How many.
    @discardableResult
    package func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Int {
        var done = 0
        unsafe withParts(offset..<offset + target.count) { part in
            // Sound: the parts have at most as many bytes as the target.
            unsafe ckvm_copy_shared(target.baseAddress?.advanced(by: done), part.baseAddress, part.count)
            done += part.count
        }
        return done
    }

    /// Lends the memory of a range of the bytes to a call such as preadv(2).
    ///
    /// - Parameters:
    ///   - range: The bytes. What is past the end is left out.
    ///   - head: Memory of this process that stands before them in the call, if any.
    ///   - tail: The same behind them.
    ///   - body: The call.
    /// - Returns: What the call returns.
    package func withVectors(
        _ range: Range<Int>, head: iovec? = nil, tail: iovec? = nil,
        _ body: (UnsafePointer<iovec>?, Int32) -> Int
    ) -> Int {
        var vectors: [iovec] = unsafe []
        unsafe vectors.reserveCapacity(windows.count + 2)
        if let head = unsafe head { unsafe vectors.append(head) }
        // Sound: the windows, which this value keeps, keep the memory for the time of the call.
        unsafe withParts(range) {
            unsafe vectors.append(iovec(iov_base: $0.baseAddress, iov_len: $0.count))
        }
        if let tail = unsafe tail { unsafe vectors.append(tail) }
        return withExtendedLifetime(windows) {
            unsafe vectors.withUnsafeBufferPointer {
                unsafe body($0.baseAddress, Int32(truncatingIfNeeded: $0.count))
            }
        }
    }
}

/// A request: what a driver has put into a queue at once.
package struct DescriptorChain: Sendable {
    /// The number of its first descriptor, by which the driver knows it again.
    package private(set) var head: UInt16 = 0
    /// What the device may read.
    package private(set) var readable = GuestBuffers()
    /// What the device may write.
    package private(set) var writable = GuestBuffers()

    package init() {}

    /// An entry of a descriptor table, as it was at one moment. Source: virtio 1.2, section 2.7.5.
    private struct Descriptor {
        static let size = 16
        static let next: UInt16 = 1
        static let write: UInt16 = 2
        static let indirect: UInt16 = 4

        let address: UInt64
        let length: UInt32
        let flags: UInt16
        let next: UInt16

        init(_ table: GuestWindow, _ index: UInt16) {
            var entry = SIMD2<UInt64>()
            table.copyShared(at: Int(index) * Self.size, into: &entry)
            address = UInt64(littleEndian: entry[0])
            let rest = UInt64(littleEndian: entry[1])
            length = UInt32(truncatingIfNeeded: rest)
            flags = UInt16(truncatingIfNeeded: rest >> 32)
            next = UInt16(truncatingIfNeeded: rest >> 48)
        }

        func has(_ flag: UInt16) -> Bool { flags & flag != 0 }
    }

    /// Follows a chain. Each descriptor is read once.
    ///
    /// - Parameters:
    ///   - head: The first descriptor's number.
    ///   - table: The queue's descriptors.
    ///   - memory: The guest's memory.
    ///   - mayBeIndirect: Whether the driver may use tables of descriptors.
    mutating func follow(
        from head: UInt16, in table: GuestWindow, of memory: GuestMemory, mayBeIndirect: Bool
    ) throws(VirtqueueFault) {
        self.head = head
        readable.removeAll()
        writable.removeAll()
        let limit = table.count / Descriptor.size
        guard Int(head) < limit else { throw .descriptorNumber(head) }
        let first = Descriptor(table, head)
        guard first.has(Descriptor.indirect) else {
            return try follow(first, in: table, of: memory, limit: limit)
        }
        let size = Int(first.length)
        guard mayBeIndirect, !first.has(Descriptor.next), size > 0, size % Descriptor.size == 0,
            size / Descriptor.size <= Int(UInt16.max) + 1
        else { throw .indirectTable }
        let indirect: GuestWindow
        do {
            indirect = try GuestWindow(memory, at: GuestPhysicalAddress(first.address), size: size)
        } catch {
            throw .indirectTable
        }
        try follow(Descriptor(indirect, 0), in: indirect, of: memory, limit: limit)
    }

    /// Follows a chain within one table.
    private mutating func follow(
        _ first: Descriptor, in table: GuestWindow, of memory: GuestMemory, limit: Int
    ) throws(VirtqueueFault) {
        var descriptor = first
        var count = 1
        while true {
            // A table in a table, or behind another descriptor, is no driver's right. Source: section 2.7.5.3.1.
            guard !descriptor.has(Descriptor.indirect) else { throw .indirectTable }
            try add(descriptor, of: memory)
            guard descriptor.has(Descriptor.next) else { return }
            count += 1
            guard count <= limit else { throw .chainTooLong }
            guard Int(descriptor.next) < table.count / Descriptor.size else {
                throw .descriptorNumber(descriptor.next)
            }
            descriptor = Descriptor(table, descriptor.next)
        }
    }

    private mutating func add(_ descriptor: Descriptor, of memory: GuestMemory) throws(VirtqueueFault) {
        let (address, length) = (descriptor.address, descriptor.length)
        let total = readable.byteCount + writable.byteCount + Int(length)
        guard length > 0, total <= Int(UInt32.max) else { throw .buffer(address: address, size: length) }
        let window: GuestWindow
        do {
            window = try GuestWindow(memory, at: GuestPhysicalAddress(address), size: Int(length))
        } catch {
            throw .buffer(address: address, size: length)
        }
        if descriptor.has(Descriptor.write) {
            writable.append(window)
        } else {
            guard writable.byteCount == 0 else { throw .bufferOrder }
            readable.append(window)
        }
    }
}
