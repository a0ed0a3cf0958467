import CKVM
import Glibc
import Host

/// The values of a map that this process has mapped for reading.
// Safe to use: the memory stays mapped for as long as this object lives, and every offset is checked.
@safe
final class MapView: Sendable {
    /// Sound to share between threads: the address never changes, and what is behind it is read one by one.
    private nonisolated(unsafe) let start: UnsafeRawPointer
    private let byteCount: Int

    /// The bytes of a page. Source: Intel SDM, volume 3, "Paging".
    private static let pageSize = 4096

    /// Maps an array's values.
    ///
    /// - Parameters:
    ///   - map: The map's descriptor.
    ///   - byteCount: The bytes of its values, of which whole pages are mapped.
    /// - Throws: Why the system refuses it.
    init(of map: Int32, byteCount: Int) throws(ErrorNumber) {
        let size = (byteCount + Self.pageSize - 1) / Self.pageSize * Self.pageSize
        var address: UnsafeRawPointer?
        let result = unsafe ckvm_map_readable(map, size, &address)
        guard result >= 0, let address = unsafe address else { throw ErrorNumber(rawValue: 0 &- result) }
        unsafe start = address
        self.byteCount = size
    }

    deinit {
        unsafe munmap(UnsafeMutableRawPointer(mutating: start), byteCount)
    }

    /// A value at an offset in bytes.
    func load<Value: BitwiseCopyable>(at offset: Int, as type: Value.Type) -> Value {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<Value>.size)
        // Sound: the value is inside the mapping, and any bytes are a number.
        return unsafe start.loadUnaligned(fromByteOffset: offset, as: type)
    }
}
