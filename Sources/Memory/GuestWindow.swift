import CKVM

// What a device and the guest share while both run: each value is read or written once, in an order that the other side
// can rely on. An offset that is not wholly inside the window is a mistake of the program.
extension GuestWindow {
    /// The bytes of the window.
    package var count: Int { unsafe bytes.count }

    /// Reads a little-endian number at an even address. What follows in the program comes after it.
    package func loadShared16(at offset: Int) -> UInt16 {
        // Sound: the part has two bytes, and starts at an even address.
        unsafe withBytes(at: offset, count: 2) { unsafe UInt16(littleEndian: ckvm_load_shared_16($0.baseAddress)) }
    }

    /// Writes a little-endian number at an even address. What precedes it in the program comes before it.
    package func storeShared16(_ value: UInt16, at offset: Int) {
        // Sound: as above.
        unsafe withBytes(at: offset, count: 2) { unsafe ckvm_store_shared_16($0.baseAddress, value.littleEndian) }
    }

    /// Copies bytes out, once.
    package func copyShared<Value: BitwiseCopyable>(at offset: Int, into value: inout Value) {
        let size = MemoryLayout<Value>.size
        unsafe withUnsafeMutableBytes(of: &value) { target in
            // Sound: both have as many bytes as the value, for which any bytes are valid.
            unsafe withBytes(at: offset, count: size) {
                unsafe ckvm_copy_shared(target.baseAddress, $0.baseAddress, size)
            }
        }
    }

    /// Writes a little-endian number of 32 bits.
    package func store32(_ value: UInt32, at offset: Int) {
        // Sound: the part has four bytes.
        unsafe withBytes(at: offset, count: 4) { unsafe $0.storeBytes(of: value.littleEndian, as: UInt32.self) }
    }

    /// What was written before is visible to the guest before anything is read after it.
    package static func fence() {
        ckvm_shared_fence()
    }
}
