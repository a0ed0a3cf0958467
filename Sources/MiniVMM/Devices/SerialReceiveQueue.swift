/// The receiver's FIFO of a 16550A: 16 bytes, each with the errors that came with it.
///
/// It lives in registers and takes no memory from the heap.
struct SerialReceiveQueue: Sendable {
    typealias Errors = SerialRegister.LineStatus

    /// The bytes that fit in. Source: PC16550D data sheet, section 8.4 "FIFO control register".
    static let capacity = 16

    private var bytes = SIMD16<UInt8>()
    private var errors = SIMD16<UInt8>()
    /// Where the oldest byte stands.
    private var head = 0
    /// How many bytes wait.
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// The place of the byte `distance` after the oldest. The mask keeps it inside whatever the distance.
    private func place(_ distance: Int) -> Int {
        (head &+ distance) & (Self.capacity &- 1)
    }

    /// Adds a byte, if there is room.
    ///
    /// - Returns: Whether there was.
    mutating func append(_ byte: UInt8, errors newErrors: Errors = []) -> Bool {
        guard count < Self.capacity else { return false }
        let place = place(count)
        bytes[place] = byte
        errors[place] = newErrors.rawValue
        count &+= 1
        return true
    }

    /// Takes the oldest byte out; nil when there is none.
    mutating func popFirst() -> UInt8? {
        guard count > 0 else { return nil }
        let byte = bytes[head]
        errors[head] = 0
        head = place(1)
        count &-= 1
        return byte
    }

    /// Puts a byte in the place of the newest. Nothing happens when there is none.
    mutating func replaceLast(_ byte: UInt8) {
        guard count > 0 else { return }
        bytes[place(count &- 1)] = byte
    }

    /// Takes away the errors of the oldest byte, and returns them.
    mutating func takeFirstErrors() -> Errors {
        guard count > 0 else { return [] }
        let taken = errors[head]
        errors[head] = 0
        return Errors(rawValue: taken)
    }

    /// Whether any byte still has errors that were not taken.
    var hasErrors: Bool { errors != SIMD16() }

    mutating func removeAll() {
        self = SerialReceiveQueue()
    }
}
