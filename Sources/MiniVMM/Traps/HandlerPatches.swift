import Host
import Memory

/// The OUTs that stand in the guest's memory at the start of its #GP handlers, shared by the fault traps of all vCPUs.
///
/// A vCPU looks at the handler's bytes after every exit without a lock. Only to write an OUT, or to learn what it
/// displaces, is the lock taken: when a handler appears, changes or is left, and when a handler goes on.
package final class HandlerPatches: Sendable {
    /// What an OUT displaces.
    private struct Patch {
        var original: UInt16
        var displaced: DisplacedInstructions
        /// How many vCPUs have the handler in their descriptor table.
        var users: Int
    }

    /// The port of the OUTs. The machine has no device there.
    let port: UInt8
    /// The bytes of the OUT. Little-endian: the opcode comes first.
    let bytes: UInt16
    /// The bytes that are displaced.
    static let size = 2

    private let memory: GuestMemory
    private let patches = Locked<[GuestPhysicalAddress: Patch]>([:])

    init(memory: GuestMemory, port: UInt8) {
        self.memory = memory
        self.port = port
        bytes = UInt16(SiteTrap.outImmediate) | UInt16(port) << 8
    }

    /// Whether the OUT stands at an address now.
    func stands(at address: GuestPhysicalAddress) -> Bool {
        (try? memory.load(UInt16.self, at: address)) == bytes
    }

    /// Puts an OUT at a handler for one vCPU.
    ///
    /// - Returns: false when the handler starts with instructions that are not known; then nothing was written.
    func add(at address: GuestPhysicalAddress) -> Bool {
        patches.withLock { patches in
            if patches[address] != nil {
                patches[address]?.users += 1
            } else {
                guard let (original, displaced) = handler(at: address) else { return false }
                patches[address] = Patch(original: original, displaced: displaced, users: 1)
            }
            try? memory.store(bytes, at: address)
            return true
        }
    }

    /// Takes the OUT away when the last vCPU leaves the handler, unless the guest has done so itself.
    func remove(at address: GuestPhysicalAddress) {
        patches.withLock { patches in
            guard let patch = patches[address] else { return }
            guard patch.users <= 1 else {
                patches[address]?.users -= 1
                return
            }
            if stands(at: address) { try? memory.store(patch.original, at: address) }
            patches[address] = nil
        }
    }

    /// Puts the OUT back where the guest has written over it. What it has written is what is displaced from then on.
    func repair(at address: GuestPhysicalAddress) {
        patches.withLock { patches in
            // Another vCPU may have come first. If the instructions are not known, the handler is in the middle of
            // being rewritten, or now something else: not ours to touch.
            guard let patch = patches[address], !stands(at: address), let (original, displaced) = handler(at: address)
            else { return }
            patches[address] = Patch(original: original, displaced: displaced, users: patch.users)
            try? memory.store(bytes, at: address)
        }
    }

    /// What the OUT at an address displaces.
    func displaced(at address: GuestPhysicalAddress) -> DisplacedInstructions? {
        patches.withLock { $0[address]?.displaced }
    }

    /// The first bytes of a handler, and the instructions in them, where they are known ones.
    private func handler(at address: GuestPhysicalAddress) -> (UInt16, DisplacedInstructions)? {
        guard let original = try? memory.load(UInt16.self, at: address),
            let code = try? memory.bytes(at: address, count: InstructionWindow.longestInstruction),
            let displaced = DisplacedInstructions(code, patchSize: Self.size)
        else { return nil }
        return (original, displaced)
    }
}

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
