import CKVM

extension GuestDeath.Cause {
    /// What a vCPU died of, by the exit that it cannot go on from.
    init(_ exit: Exit, of vcpu: VCPU) {
        self =
            switch exit {
            case .shutdown: .tripleFault
            case .failEntry(let reason): .failEntry(hardwareReason: reason)
            case .internalError(let suberror): Self.internalError(suberror, of: vcpu)
            case .unknown(let reason): .unexpectedExit(name: "KVM_EXIT_UNKNOWN", reason: reason)
            case .exception(let vector): .unexpectedExit(name: "KVM_EXIT_EXCEPTION", reason: UInt64(vector))
            case .other(let reason): .unexpectedExit(name: "with an unknown reason", reason: UInt64(reason))
            default: .unexpectedExit(name: exit.kind.name, reason: UInt64(vcpu.run.pointee.exit_reason))
            }
    }

    private static func internalError(_ suberror: UInt32, of vcpu: VCPU) -> Self {
        guard suberror == UInt32(KVM_INTERNAL_ERROR_EMULATION) else { return .internalError(suberror: suberror) }
        let error = ckvm_exit_internal_error(vcpu.run)
        // Sound: the function bounds the size by the array's.
        let bytes = withUnsafeBytes(of: error.instruction) { Array($0.prefix(Int(error.instruction_size))) }
        return .emulationFailure(instruction: bytes)
    }
}
