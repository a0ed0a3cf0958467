/// A gate of a 64-bit interrupt descriptor table. Source: Intel SDM, volume 3, "64-bit mode IDT".
struct InterruptGate: Hashable {
    /// The bytes of a gate.
    static let size: UInt64 = 16
    /// The vector of a general-protection exception.
    static let generalProtection: UInt64 = 13

    /// The gate's two words.
    let low: UInt64
    let high: UInt64

    /// Whether the gate is present, and an interrupt or trap gate.
    var isUsable: Bool {
        let present = low >> 47 & 1 == 1
        let type = low >> 40 & 0xf
        return present && (type == 0xe || type == 0xf)
    }

    /// The linear address of the handler.
    var handler: UInt64 {
        low & 0xffff | (low >> 48 & 0xffff) << 16 | (high & 0xffff_ffff) << 32
    }
}
