import CKVM

/// The system calls by which MiniVMM gets hold of KVM and of memory, in one place that tests can replace to see what
/// happens when the system refuses.
///
/// Each returns its value, or -errno. Calls that a running vCPU makes are not among them: they go straight to CKVM.
struct KVMSystemCalls: Sendable {
    var open: @Sendable (_ path: String) -> Int32 = { ckvm_open($0, O_RDWR) }
    var getAPIVersion: @Sendable (_ kvm: Int32) -> Int32 = { ckvm_get_api_version($0) }
    var checkExtension: @Sendable (_ kvm: Int32, _ capability: Int32) -> Int32 = {
        ckvm_check_extension($0, UInt64(truncatingIfNeeded: $1))
    }
    var createVM: @Sendable (_ kvm: Int32) -> Int32 = { ckvm_create_vm($0, 0) }
    var createVCPU: @Sendable (_ vm: Int32, _ id: UInt32) -> Int32 = { ckvm_create_vcpu($0, UInt64($1)) }
    var mapAnonymous: @Sendable (_ size: Int, _ address: inout UnsafeMutableRawPointer?) -> Int32 = {
        ckvm_map_anonymous($0, &$1)
    }
    var mapShared: @Sendable (_ fd: Int32, _ size: Int, _ address: inout UnsafeMutableRawPointer?) -> Int32 = {
        ckvm_map_shared($0, $1, &$2)
    }

    /// The system's own.
    static let live = KVMSystemCalls()
}
