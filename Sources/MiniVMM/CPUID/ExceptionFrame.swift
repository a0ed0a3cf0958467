import CKVM

/// What the processor pushed when it raised an exception with an error code in 64-bit mode, from the stack pointer up.
/// Source: Intel SDM, volume 3, "Exception- or interrupt-handler procedures in 64-bit mode".
struct ExceptionFrame {
    let errorCode: UInt64
    let rip: UInt64
    let codeSelector: UInt16
    let rflags: UInt64
    let rsp: UInt64
    let stackSelector: UInt16

    /// Reads the frame at a linear address.
    ///
    /// - Returns: nil when part of it is not mapped.
    init?(at address: UInt64, walk: PageWalk, memory: GuestMemory) {
        func word(_ index: UInt64) -> UInt64? {
            walk.translate(address &+ index &* 8, in: memory).flatMap { try? memory.load(UInt64.self, at: $0) }
        }
        guard let errorCode = word(0), let rip = word(1), let code = word(2), let rflags = word(3), let rsp = word(4),
            let stack = word(5)
        else { return nil }
        self.errorCode = errorCode
        self.rip = rip
        codeSelector = UInt16(truncatingIfNeeded: code)
        self.rflags = rflags
        self.rsp = rsp
        stackSelector = UInt16(truncatingIfNeeded: stack)
    }

    /// Whether a program was interrupted: code at privilege level 3.
    var isFromUser: Bool { codeSelector & 3 == 3 }
}
