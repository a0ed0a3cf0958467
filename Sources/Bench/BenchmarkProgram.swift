import Devices
import Memory

/// The guest that measures an operation: 16-bit code for real mode, loaded where a PC loads boot sectors.
///
/// It writes the cycles of each repetition to memory, 32 bits each, and ends with a write to the exit port.
package struct BenchmarkProgram {
    /// The register that holds the time at the start of an operation.
    package enum Clock: Hashable, Sendable {
        case esi
        case ebx

        /// MOV register, EAX.
        package var store: [UInt8] { [0x66, 0x89, self == .esi ? 0xc6 : 0xc3] }
        /// SUB EAX, register.
        package var subtract: [UInt8] { [0x66, 0x29, self == .esi ? 0xf0 : 0xd8] }
    }

    /// Where the times stand: in real mode, segment 0x1000.
    static let samplesAddress: UInt64 = 0x10000
    /// Repetitions before the first that counts, for the caches.
    static let warmUp = 64

    /// The code.
    package let bytes: [UInt8]
    /// The number of times that it writes.
    package let count: Int

    /// A program for an operation.
    ///
    /// - Parameter repetitions: How often to measure it, besides the first times for the caches.
    init(_ operation: BenchmarkOperation, repetitions: Int) {
        count = repetitions + Self.warmUp
        let readClock: [UInt8] = [0x0f, 0x31]
        let body =
            readClock + operation.clock.store + operation.code + readClock + operation.clock.subtract
            // STOSD to ES:DI; DEC BP
            + [0x66, 0xab, 0x4d]
        // JNZ rel16, which counts from its own end.
        let back = UInt16(truncatingIfNeeded: -(body.count + 4))
        let start: [UInt8] = [
            0xfa, 0xfc,  // CLI; CLD
            0xb8, 0x00, 0x10, 0x8e, 0xc0,  // MOV AX, 0x1000; MOV ES, AX
            0x31, 0xff,  // XOR DI, DI
            0xbd, UInt8(count & 0xff), UInt8(count >> 8),  // MOV BP, count
        ]
        // MOV AL, 0; OUT exit port, AL; and a jump to itself, should anyone go on.
        let end: [UInt8] = [0xb0, 0x00, 0xe6, UInt8(DebugPorts.exit), 0xeb, 0xfe]
        bytes =
            start + operation.setup + body + [0x0f, 0x85, UInt8(back & 0xff), UInt8(back >> 8)] + end
    }

    /// The times that the guest left in its memory, in cycles, without the first ones.
    func samples(in memory: GuestMemory) throws -> [UInt32] {
        try (Self.warmUp..<count).map { index in
            try memory.load(UInt32.self, at: GuestPhysicalAddress(Self.samplesAddress + UInt64(index) * 4))
        }
    }
}

/// The guest that measures an operation of programs: 64-bit code for privilege level 3, in a `RingThreeSandbox`.
extension BenchmarkProgram {
    /// What the handler of general-protection exceptions does: it ends the run. The fault trap takes the NOPs' place, and
    /// goes back by the IRETQ, as it does where kernels have theirs.
    static let ringThreeHandler: [UInt8] = [
        0x90, 0x90, 0x90,  // NOP; NOP; NOP
        0xb0, 0x00, 0xe6, UInt8(DebugPorts.exit),  // MOV AL, 0; OUT exit port, AL
        0x48, 0xcf,  // IRETQ
    ]

    /// An address without memory, behind the sandbox's.
    private static let memoryHole: UInt32 = 0x10_0000
    /// The memory of the sandbox: as much as the maximum number of times takes.
    static let ringThreeMemorySize = UInt64(2 * samplesAddress)

    /// A program for an operation.
    ///
    /// - Parameter repetitions: How often to measure it, besides the first times for the caches.
    init(inRingThree operation: BenchmarkOperation, repetitions: Int) {
        count = repetitions + Self.warmUp
        func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        // MOV EAX, [memoryHole]: the trap is set up at the first exit.
        let start: [UInt8] =
            [0x8b, 0x04, 0x25] + bytes(Self.memoryHole)
            + [0xbf] + bytes(UInt32(Self.samplesAddress))  // MOV EDI, samplesAddress
            + [0xbd] + bytes(UInt32(count))  // MOV EBP, count
        let body =
            [0x0f, 0x31, 0x89, 0xc6]  // RDTSC; MOV ESI, EAX
            + operation.code
            + [0x0f, 0x31, 0x29, 0xf0]  // RDTSC; SUB EAX, ESI
            + [0x89, 0x07, 0x83, 0xc7, 0x04, 0xff, 0xcd]  // MOV [RDI], EAX; ADD EDI, 4; DEC EBP
        // JNZ rel32, which counts from its own end; and HLT, which level 3 may not.
        let back = UInt32(truncatingIfNeeded: -(body.count + 6))
        self.bytes = start + body + [0x0f, 0x85] + bytes(back) + [0xf4]
    }
}
