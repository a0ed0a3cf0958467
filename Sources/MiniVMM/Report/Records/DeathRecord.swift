/// How a guest died, in the JSON format.
struct DeathRecord: Encodable {
    let cause: String
    let vcpu: Int
    let mode: String?
    let registers: [String: String]?
    let code: String?

    init(_ death: GuestDeath) {
        cause = death.cause.name
        vcpu = death.vcpu
        mode = death.state?.mode.rawValue
        // In hexadecimal, because not every JSON reader keeps 64 bits.
        registers = death.state.map { state in
            Dictionary(
                (state.general + state.control).map { ($0.name, Hex.number($0.value)) },
                uniquingKeysWith: { first, _ in first })
        }
        code = death.state.map { Hex.bytes($0.code) }
    }

    private enum CodingKeys: String, CodingKey {
        case cause
        case vcpu
        case mode
        case registers
        case code
    }

    // Written out because the compiler's own version leaves out what is nil.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(cause, forKey: .cause)
        try container.encode(vcpu, forKey: .vcpu)
        try container.encode(mode, forKey: .mode)
        try container.encode(registers, forKey: .registers)
        try container.encode(code, forKey: .code)
    }
}
