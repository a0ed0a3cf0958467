package import Counters
import Host

/// What the records of all exits for one of the processor's reasons have in common, in the JSON format: members of an
/// object that may have others. Times in nanoseconds.
package struct ReasonFields: Encodable {
    private let row: KernelSettledExits.Row
    private let isSVM: Bool
    private let hasDistribution: Bool

    /// The members for a reason.
    ///
    /// - Parameters:
    ///   - row: The exits.
    ///   - isSVM: Whose number the code is.
    ///   - hasDistribution: Whether they say how long the exits took that KVM settled, one by one.
    package init(_ row: KernelSettledExits.Row, isSVM: Bool, hasDistribution: Bool = true) {
        self.row = row
        self.isSVM = isSVM
        self.hasDistribution = hasDistribution
    }

    private enum CodingKeys: String, CodingKey {
        case name, code, sdm
        case processorExits = "processor_exits"
        case nanoseconds = "ns"
        case passedOnNanoseconds = "passed_on_ns"
        case haltedNanoseconds = "halted_ns"
        case p50 = "p50_ns"
        case p99 = "p99_ns"
        case maximum = "max_ns"
        case histogram
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(row.name(isSVM: isSVM), forKey: .name)
        try container.encode(row.code, forKey: .code)
        try container.encode(row.reason?.rawValue, forKey: .sdm)
        try container.encode(row.hardwareExits, forKey: .processorExits)
        try container.encode(row.nanoseconds, forKey: .nanoseconds)
        try container.encode(row.passedOnNanoseconds, forKey: .passedOnNanoseconds)
        try container.encode(row.haltedNanoseconds, forKey: .haltedNanoseconds)
        guard hasDistribution else { return }
        try container.encode(row.quantile(0.5), forKey: .p50)
        try container.encode(row.quantile(0.99), forKey: .p99)
        try container.encode(row.maximum, forKey: .maximum)
        try container.encode(row.histogram, forKey: .histogram)
    }
}

/// The exits that KVM settled itself, in the JSON format. Times in nanoseconds.
struct KernelSettledRecord: Encodable {
    /// The exits for one of the processor's reasons.
    struct Reason: Encodable {
        private let row: KernelSettledExits.Row
        private let isSVM: Bool

        init(_ row: KernelSettledExits.Row, isSVM: Bool) {
            self.row = row
            self.isSVM = isSVM
        }

        private enum CodingKeys: String, CodingKey {
            case exits
            case carriedExits = "carried_exits"
        }

        func encode(to encoder: any Encoder) throws {
            try ReasonFields(row, isSVM: isSVM).encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(row.exits, forKey: .exits)
            try container.encode(row.carriedExits, forKey: .carriedExits)
        }
    }

    /// One vCPU.
    struct OneVCPU: Encodable {
        let vcpu: Int
        let reasons: [Reason]
    }

    private let processorExtension: String
    private let exits: UInt64
    private let processorExits: UInt64
    private let kernelCount: UInt64?
    private let nanoseconds: UInt64
    private let haltedNanoseconds: UInt64
    private let reasons: [Reason]
    private let vcpus: [OneVCPU]

    init(_ settled: KernelSettledExits) {
        let isSVM = settled.isSVM
        processorExtension = isSVM ? "svm" : "vmx"
        exits = settled.exits
        processorExits = settled.hardwareExits
        kernelCount = settled.kernelCount
        nanoseconds = settled.nanoseconds
        haltedNanoseconds = settled.haltedNanoseconds
        reasons = settled.rows.map { Reason($0, isSVM: isSVM) }
        vcpus = settled.vcpus.enumerated().map { index, rows in
            OneVCPU(vcpu: index, reasons: rows.map { Reason($0, isSVM: isSVM) })
        }
    }

    private enum CodingKeys: String, CodingKey {
        case processorExtension = "extension"
        case exits
        case processorExits = "processor_exits"
        case kernelCount = "kvm_exits"
        case nanoseconds = "ns"
        case haltedNanoseconds = "halted_ns"
        case reasons
        case vcpus
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(processorExtension, forKey: .processorExtension)
        try container.encode(exits, forKey: .exits)
        try container.encode(processorExits, forKey: .processorExits)
        try container.encode(kernelCount, forKey: .kernelCount)
        try container.encode(nanoseconds, forKey: .nanoseconds)
        try container.encode(haltedNanoseconds, forKey: .haltedNanoseconds)
        try container.encode(reasons, forKey: .reasons)
        try container.encode(vcpus, forKey: .vcpus)
    }
}
