public import CKVM

/// A file descriptor with one owner, which closes it exactly once.
@usableFromInline
package struct OwnedDescriptor: ~Copyable, Sendable {
    @usableFromInline package let number: Int32

    /// Takes a descriptor over. Nobody else may close it.
    package init(takingOver number: Int32) {
        self.number = number
    }

    deinit {
        // close(2) releases the descriptor on Linux whatever it returns, so there is nothing to retry.
        _ = ckvm_close(number)
    }
}

/// A mapping of memory with one owner, which unmaps it exactly once.
@usableFromInline
// Safe to use: whoever follows the address marks that as unsafe; the mapping only unmaps it, once.
@safe
package struct MemoryMapping: ~Copyable, Sendable {
    /// Where the mapping starts.
    ///
    /// Sound to share between threads: the address never changes, and whoever reads or writes through it answers for
    /// the order of the accesses.
    @usableFromInline package nonisolated(unsafe) let baseAddress: UnsafeMutableRawPointer

    /// Bytes.
    @usableFromInline package let size: Int

    /// Takes over `size` bytes that mmap(2) returned.
    package init(takingOver baseAddress: UnsafeMutableRawPointer, size: Int) {
        unsafe self.baseAddress = unsafe baseAddress
        self.size = size
    }

    deinit {
        unsafe munmap(baseAddress, size)
    }
}

/// Memory of zeros, to be released with free(3).
///
/// calloc(3) takes large blocks from the system as they are touched, so that a table of which little is used costs
/// little, in time as well as in memory.
///
/// - Parameters:
///   - type: What the memory holds: a type for which all zeros is a valid value.
///   - count: How many of them.
/// - Throws: ``ResourceError`` when the system refuses the memory.
@inlinable
package func zeroedMemory<Value: ~Copyable>(
    of type: Value.Type, count: Int
) throws(ResourceError) -> UnsafeMutablePointer<Value> {
    let memory = unsafe calloc(count, MemoryLayout<Value>.stride)
    guard let memory = unsafe memory else {
        // Saturating: calloc refuses what overflows.
        let (size, isTooLarge) = count.multipliedReportingOverflow(by: MemoryLayout<Value>.stride)
        throw ResourceError("a table of \(isTooLarge ? Int.max : size) bytes", .outOfMemory)
    }
    // Sound: the memory has room for `count` values, is aligned for any type, and is zero, which the caller vouches for.
    return unsafe memory.bindMemory(to: type, capacity: count)
}
