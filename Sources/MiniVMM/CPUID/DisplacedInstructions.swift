/// The instructions at the start of an interrupt handler that a two-byte patch displaces, where they are ones whose
/// effect is simple enough to be had without running them.
///
/// Kernels begin their handlers with few of them: a landing pad for indirect branches, CLAC or the NOPs that a kernel
/// has in its place, CLD. Source: Intel SDM, volume 2.
struct DisplacedInstructions: Hashable {
    /// The bytes of the instructions that begin inside the patch: at least the patch's two.
    let length: Int
    /// The bits of RFLAGS that they clear.
    let clearedFlags: UInt64

    private static let alignmentCheck: UInt64 = 1 << 18
    private static let direction: UInt64 = 1 << 10

    /// Decodes the instructions at the start of `code`.
    ///
    /// - Parameters:
    ///   - code: The handler's first bytes, in 64-bit mode.
    ///   - patchSize: How many bytes are displaced.
    /// - Returns: nil when one of them is not among the known ones.
    init?(_ code: some Collection<UInt8>, patchSize: Int) {
        let code = Array(code)
        var length = 0
        var clearedFlags: UInt64 = 0
        while length < patchSize {
            guard let (size, flags) = Self.decode(code[length...]) else { return nil }
            length += size
            clearedFlags |= flags
        }
        self.length = length
        self.clearedFlags = clearedFlags
    }

    /// Each known instruction: its bytes, and the flags that it clears.
    private static let known: [(bytes: [UInt8], flags: UInt64)] = [
        ([0x90], 0),  // NOP
        ([0x66, 0x90], 0),  // NOP
        ([0x0f, 0x1f, 0x00], 0),  // NOP
        ([0x0f, 0x1f, 0x40, 0x00], 0),  // NOP
        ([0x0f, 0x1f, 0x44, 0x00, 0x00], 0),  // NOP
        ([0xf3, 0x0f, 0x1e, 0xfa], 0),  // ENDBR64
        ([0x0f, 0x01, 0xca], alignmentCheck),  // CLAC
        ([0xfc], direction),  // CLD
    ]

    private static func decode(_ code: ArraySlice<UInt8>) -> (size: Int, flags: UInt64)? {
        known.first { code.starts(with: $0.bytes) }.map { ($0.bytes.count, $0.flags) }
    }
}
