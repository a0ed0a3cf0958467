/// What the programs count of one vCPU's exits for one reason. Times in nanoseconds.
///
/// Its layout is that of the map's values: the programs write it, and this process reads it while they do. Each slot has
/// one writer, the vCPU's thread inside the kernel.
package struct ExitSlot: Hashable, Sendable, BitwiseCopyable {
    /// Exits, the one in progress included.
    package var count: UInt64 = 0
    /// Exits after which the guest was entered again.
    package var finished: UInt64 = 0
    /// From each of these exits to the entry after it: all of it, user space and sleep included.
    package var nanoseconds: UInt64 = 0
    /// The longest that KVM took for one that it settled.
    package var maximum: UInt64 = 0
    /// Exits that were passed on to user space.
    package var user: UInt64 = 0
    /// From each of these exits to the moment when KVM_RUN returned.
    package var nanosecondsToUser: UInt64 = 0
    /// What vCPUs slept in these exits.
    package var nanosecondsHalted: UInt64 = 0
    /// What KVM took for the exits that it settled, sleep taken off.
    package var nanosecondsKernel: UInt64 = 0

    /// The histogram behind these numbers: how many of the exits that KVM settled took from 2^b up to 2^(b+1)
    /// nanoseconds, the last bucket open.
    package static let bucketCount = 32

    /// Where the numbers stand, in bytes.
    enum Offset {
        static let count: Int16 = 0
        static let finished: Int16 = 8
        static let nanoseconds: Int16 = 16
        static let maximum: Int16 = 24
        static let user: Int16 = 32
        static let nanosecondsToUser: Int16 = 40
        static let nanosecondsHalted: Int16 = 48
        static let nanosecondsKernel: Int16 = 56
        static let histogram: Int16 = 64
    }

    /// The bytes of a slot.
    package static let size = 64 + 8 * bucketCount

    package init() {}
}

/// The reasons that slots are kept for: a vCPU has one for each, in the order of these indices.
///
/// VMX's reasons, and SVM's exit codes 0x00 to 0xFF, are their own index; SVM's 0x400 to 0x40D follow. Two of SVM's
/// codes are told apart further, as VMX does: a nested page fault on a page that KVM keeps for MMIO, and RDMSR, which
/// shares a code with WRMSR.
package enum ExitReasonIndex {
    /// SVM's codes from 0x400 on: their first index, and how many there are.
    package static let nestedPaging: Int32 = 0x100
    package static let nestedPagingCount: Int32 = 14
    /// A nested page fault on a page that KVM keeps for MMIO: bit 3 (RSV) of EXITINFO1.
    package static let mmio: Int32 = 0x10e
    /// RDMSR: bit 0 of EXITINFO1 is 0.
    package static let rdmsr: Int32 = 0x10f
    /// Every other number.
    package static let other: Int32 = 0x110
    /// How many there are.
    package static let count = 0x111

    /// SVM's exit codes that are looked at further. Source: AMD APM, volume 2, appendix C.
    enum SVMCode {
        static let msr: Int32 = 0x7c
        static let nestedPageFault: Int32 = 0x400
    }
}

/// The virtualization extension of the host's processor. The numbers are those of KVM's tracepoints.
package enum ProcessorExtension: UInt32, Sendable {
    /// Intel's.
    case vmx = 1
    /// AMD's.
    case svm = 2
}
