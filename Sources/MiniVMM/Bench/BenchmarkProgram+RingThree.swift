/// The guest that measures an operation of programs: 64-bit code for privilege level 3, in a ``RingThreeSandbox``.
extension BenchmarkProgram {
    /// What the handler of general-protection exceptions does: it ends the run. The fault trap takes the NOPs' place.
    static let ringThreeHandler: [UInt8] = [
        0x90, 0x90, 0x90,  // NOP; NOP; NOP
        0xb0, 0x00, 0xe6, UInt8(PortMap.exit),  // MOV AL, 0; OUT exit port, AL
    ]

    /// An address without memory, behind the sandbox's.
    private static let memoryHole: UInt32 = 0x10_0000
    /// The memory of the sandbox: as much as the greatest number of times takes.
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
