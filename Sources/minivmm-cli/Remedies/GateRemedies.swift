import Report

extension GateRuleError: CommandError {
    var remedy: String {
        switch self {
        case .notARule, .notALimit: "Write it like 'exits>+2%', 'cpuid.count>+0' or 'total.run_cycles>+10%'."
        case .unknownQuantity: "Choose one of these."
        case .unknownKind:
            "Write it as `minivmm compare` shows it, such as io_out, or 'kvm CPUID' for what KVM settles itself."
        case .notOfKinds: "Write total. in front of it."
        }
    }

    var exitStatus: ExitStatus { .usage }
}
