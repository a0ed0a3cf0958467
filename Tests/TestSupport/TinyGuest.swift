/// Flat guests of a few bytes.
enum TinyGuest {
    /// Prints `A`, wherever it is loaded.
    static let letter: [UInt8] = [
        0xb0, 0x41,  // mov al, 'A'
        0xe6, 0xe9,  // out 0xe9, al
        0xf4,  // hlt
    ]

    /// Prints `x` ECX times; for ever, as good as, if that is 0.
    static let printer: [UInt8] = [
        0xb0, 0x78,  // mov al, 'x'
        0xe6, 0xe9,  // out 0xe9, al
        0x66, 0x49,  // dec ecx
        0x75, 0xfa,  // jnz to the out
        0xf4,  // hlt
    ]

    /// DIV CL, in which CL is the low byte of --argument.
    static let divideByZero: [UInt8] = [0xf6, 0xf1]

    /// Five CPUIDs: one more than there are debug registers.
    static let fiveCPUIDs = [UInt8](repeating: [0x0f, 0xa2], count: 5) + [0xf4]

    /// Asks the counter leaves as a guest made for the layout s21: for the types 0 to 69, and for the totals.
    static let typesThenTotals: [UInt8] = [
        0x66, 0x31, 0xf6,  // xor esi, esi
        0x66, 0xb8, 0xfe, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffe
        0x66, 0x89, 0xf1,  // mov ecx, esi
        0x0f, 0xa2,  // cpuid
        0x66, 0x46,  // inc esi
        0x66, 0x83, 0xfe, 0x46,  // cmp esi, 70
        0x75, 0xed,  // jne to the mov eax
        0x66, 0xb8, 0xff, 0xff, 0xff, 0x4f,  // mov eax, 0x4fffffff
        0x66, 0x31, 0xc9,  // xor ecx, ecx
        0x0f, 0xa2,  // cpuid
        0xf4,  // hlt
    ]

    /// ADDPS XMM0, XMM1, and HLT.
    static let sse: [UInt8] = [0x0f, 0x58, 0xc1, 0xf4]

    /// Ends the run with a status.
    static func exit(with status: UInt8) -> [UInt8] {
        [
            0xb0, status,  // mov al, status
            0xe6, 0xf4,  // out 0xf4, al
            0xeb, 0xfe,  // jmp to itself
        ]
    }
}

extension [UInt8] {
    /// A pattern, several times over.
    init(repeating pattern: [UInt8], count: Int) {
        self = (0..<count).flatMap { _ in pattern }
    }
}
