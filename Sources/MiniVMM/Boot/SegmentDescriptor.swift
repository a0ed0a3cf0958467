import CKVM

/// A segment from linear address 0: the one source of its entry in the descriptor table and of what the vCPU's
/// register holds of it.
///
/// Source: Intel SDM, volume 3, "Segment Descriptors".
public struct SegmentDescriptor: Hashable, Sendable {
    /// The value of the segment register.
    public let selector: UInt16
    /// The greatest offset, in bytes.
    public let limit: UInt32
    /// The type: for code 11 (read, execute, accessed), for data 3 (read, write, accessed), for a task 11 (busy).
    public let type: UInt8
    /// Whether this is code or data, not a system segment such as a task.
    public let isCodeOrData: Bool
    /// Whether code in it is 64-bit.
    public let isLong: Bool
    /// Whether code in it is 32-bit, or a stack in it has 32-bit pointers.
    public let isBig: Bool

    private static let typeCode: UInt8 = 11
    private static let typeData: UInt8 = 3
    private static let typeBusyTask: UInt8 = 11
    private static let taskLimit: UInt32 = 0x67

    private init(_ selector: UInt16, type: UInt8, isCodeOrData: Bool = true, isLong: Bool = false) {
        self.selector = selector
        self.type = type
        self.isCodeOrData = isCodeOrData
        self.isLong = isLong
        limit = isCodeOrData ? .max : Self.taskLimit
        // 64-bit code must not be marked as 32-bit, and the mark says nothing of a task.
        isBig = isCodeOrData && !isLong
    }

    /// 64-bit code.
    static func longCode(selector: UInt16) -> Self {
        Self(selector, type: typeCode, isLong: true)
    }

    /// 32-bit code in all 4 GiB.
    static func flatCode(selector: UInt16) -> Self {
        Self(selector, type: typeCode)
    }

    /// Data in all 4 GiB.
    static func flatData(selector: UInt16) -> Self {
        Self(selector, type: typeData)
    }

    /// A task that holds nothing: the processor wants one, and nobody switches to it.
    static func task(selector: UInt16) -> Self {
        Self(selector, type: typeBusyTask, isCodeOrData: false)
    }

    /// Whether the limit counts pages: it does where bytes would not do.
    private var isGranular: Bool { limit > 0xf_ffff }

    /// The segment's entry in a descriptor table. The base is 0, as is the second half of a task's entry.
    var tableEntry: UInt64 {
        let limitField = UInt64(isGranular ? limit >> 12 : limit)
        var entry = limitField & 0xffff
        entry |= UInt64(type) << 40
        entry |= (isCodeOrData ? 1 : 0) << 44
        entry |= 1 << 47  // present, at privilege level 0
        entry |= (limitField >> 16) << 48
        entry |= (isLong ? 1 : 0) << 53
        entry |= (isBig ? 1 : 0) << 54
        entry |= (isGranular ? 1 : 0) << 55
        return entry
    }

    /// What a vCPU's register holds when the segment is loaded.
    var register: kvm_segment {
        var segment = kvm_segment()
        segment.limit = limit
        segment.selector = selector
        segment.type = type
        segment.present = 1
        segment.s = isCodeOrData ? 1 : 0
        segment.l = isLong ? 1 : 0
        segment.db = isBig ? 1 : 0
        segment.g = isGranular ? 1 : 0
        return segment
    }
}
