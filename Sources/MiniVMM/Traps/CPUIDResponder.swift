import CKVM
import Counters
import Host
import KVM

/// Answers a vCPU's trapped CPUID instructions: counter leaves from the counters, all others as KVM would.
///
/// For the vCPU's own thread. Answering allocates nothing.
final class CPUIDResponder {
    private let vcpu: VCPU
    private let leaves: CounterLeaves
    private let numbering: ExitNumbering
    private let source: any CounterSource
    /// What the vCPU asked the counter leaves. For others when its thread was joined.
    private(set) var questions = CounterLeafTally()
    /// The leaf that was asked for last, for traces.
    private(set) var lastLeaf: UInt32 = 0
    /// The subleaf that was asked for last, for traces.
    private(set) var lastSubleaf: UInt32 = 0
    /// The instruction pointer of the CPUID that asked last, for places.
    private(set) var lastAddress: UInt64 = 0
    /// KVM's table as it was read last.
    private let buffer = KernelCPUIDBuffer(capacity: CPUIDTable.maximumEntryCount)
    /// Whether it was read yet.
    private var isRead = false

    init(vcpu: VCPU, leaves: CounterLeaves, numbering: ExitNumbering, source: any CounterSource) {
        self.vcpu = vcpu
        self.leaves = leaves
        self.numbering = numbering
        self.source = source
    }

    /// Puts the answer to the CPUID that the registers ask for into RAX, RBX, RCX and RDX, clearing their upper halves
    /// as the instruction does.
    ///
    /// - Parameters:
    ///   - registers: The general registers.
    ///   - address: The instruction pointer of the CPUID, without the segment's base.
    /// - Throws: `KVMError` when KVM does not hand out its table.
    func answer(_ registers: inout GeneralRegisters, at address: UInt64) throws(KVMError) {
        lastAddress = address
        let leaf = UInt32(truncatingIfNeeded: registers.rax)
        let subleaf = UInt32(truncatingIfNeeded: registers.rcx)
        lastLeaf = leaf
        lastSubleaf = subleaf
        let result: CPUIDResult
        if let counted = leaves.answer(leaf: leaf, number: subleaf, numbering: numbering, source: source) {
            questions.ask(leaf: leaf, ecx: subleaf)
            result = counted
        } else {
            result = try storedResult(leaf, subleaf)
        }
        registers.rax = UInt64(result.eax)
        registers.rbx = UInt64(result.ebx)
        registers.rcx = UInt64(result.ecx)
        registers.rdx = UInt64(result.edx)
    }

    /// What KVM would answer. Its table is read again for leaves that it keeps up to date, and for those that are answered by
    /// its rules and not by an entry; a vCPU that has run keeps its other entries.
    private func storedResult(_ leaf: UInt32, _ subleaf: UInt32) throws(KVMError) -> CPUIDResult {
        if isRead, !CPUIDLeaf.changesAtRunTime(leaf), let result = buffer.storedResult(leaf: leaf, subleaf: subleaf) {
            return result
        }
        isRead = false
        buffer.reset()
        let status = unsafe ckvm_get_cpuid2(vcpu.descriptor.number, buffer.table)
        guard status >= 0 else { throw .failed("KVM_GET_CPUID2", status) }
        isRead = true
        return buffer.lookUp(leaf: leaf, subleaf: subleaf)
    }
}
