import Boot
import CKVM
import KVM
import Memory
package import Tracepoints

/// Finds out whether KVM's tracepoints tell of every exit, by making a known number of exits that KVM settles itself.
///
/// That the programs can be attached does not say so: on a KVM that itself runs under another hypervisor the tracepoints
/// may be there and never fire.
enum TracepointSelfTest {
    /// CPUIDs that the guest runs, none of them trapped.
    private static let exitCount: UInt8 = 100

    /// Runs the test on the calling thread.
    ///
    /// - Parameters:
    ///   - tests: What has the virtual machine for it.
    ///   - method: How the programs are attached; nil for what works.
    /// - Throws: `TracepointError`; `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    static func run(on tests: SelfTests, method: ExitTracepoints.Method? = nil) throws -> ExitTracepoints.Method {
        let tracepoints = try ExitTracepoints(method: method, threadCount: 1)
        try tracepoints.add(thread: ckvm_thread_id(), as: 0)
        let vcpu = try tests.makeVCPU()
        try vcpu.owner.memory.write(code, at: GuestPhysicalAddress(UInt64(start.offset)))
        try vcpu.enter(.real(at: start, stackPointer: 0))
        try vcpu.enterThroughSignals()
        let seen = cpuidIndices.reduce(UInt64(0)) { $0 &+ tracepoints.count(thread: 0, reason: $1) }
        guard seen == UInt64(exitCount) else {
            throw TracepointError.doesNotCount(expected: Int(exitCount), seen: seen)
        }
        return tracepoints.method
    }

    /// Where CPUID is counted: VMX's reason, SVM's exit code. On either, the other's number is something else that this
    /// guest does not do.
    private static let cpuidIndices = [10, 0x72]
    private static let start = SegmentedAddress(segment: 0, offset: 0x100)
    private static let code: [UInt8] = [
        0xb9, exitCount, 0x00,  // mov cx, exitCount
        0x89, 0xcf,  // next: mov di, cx
        0x66, 0x31, 0xc0,  // xor eax, eax
        0x0f, 0xa2,  // cpuid
        0x89, 0xf9,  // mov cx, di
        0xe2, 0xf5,  // loop next
        0xf4,  // hlt
    ]
}

extension KVM {
    /// Whether KVM's tracepoints tell of every exit here, and how the programs are attached.
    ///
    /// - Throws: `TracepointError` with what is missing; `KVMError` or `GuestMemoryError` when not even a throw-away
    ///   machine can be made.
    package func tracepointSupport() throws -> ExitTracepoints.Method {
        try SelfTests(self).tracepointSupport()
    }

    /// Whether they do with the programs attached in one way.
    ///
    /// - Throws: As above.
    package func checkTracepoints(by method: ExitTracepoints.Method) throws {
        _ = try TracepointSelfTest.run(on: SelfTests(self), method: method)
    }
}
