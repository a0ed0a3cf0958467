/// One exit in a trace: 32 bytes.
struct TraceEvent: BitwiseCopyable, Hashable, Sendable {
    /// The time-stamp counter when the exit's service began.
    var start: UInt64 = 0
    /// Service time, in cycles.
    var cycles: UInt64 = 0
    /// What the exit was about, as its kind has it: a port, an address, a leaf, an MSR.
    var subject: UInt64 = 0
    /// A second number: the items of a port access, the subleaf of a CPUID.
    var extra: UInt32 = 0
    /// Bytes of an access, else 0.
    var width: UInt8 = 0
    /// The kind's number.
    var kindNumber: UInt8 = 0

    /// The kind.
    var kind: ExitKind { ExitKind(rawValue: Int(kindNumber)) ?? .unknown }
}
