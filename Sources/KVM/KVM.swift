import CKVM
package import Host

/// The KVM of this host: an open /dev/kvm whose API version is the expected one.
public final class KVM: Sendable {
    /// The device file that KVM is reached by, unless another is named.
    public static let defaultDevicePath = "/dev/kvm"

    package let descriptor: OwnedDescriptor
    package let systemCalls: KVMSystemCalls
    /// What was found out about this KVM by trying it. There are few, and most processes find out nothing: to make the type
    /// of a dictionary at run time takes longer than to search an array.
    private let findings = Locked<[Finding]>([])

    private struct Finding: Sendable {
        let test: ObjectIdentifier
        let value: any Sendable
    }

    /// Opens KVM.
    ///
    /// - Parameter path: The device file.
    /// - Throws: ``KVMError`` when there is no usable KVM behind the path.
    public convenience init(path: String = KVM.defaultDevicePath) throws(KVMError) {
        try self.init(path: path, systemCalls: .live)
    }

    package init(path: String, systemCalls: KVMSystemCalls) throws(KVMError) {
        let result = systemCalls.open(path)
        guard result >= 0 else { throw Self.openError(path: path, ErrorNumber(rawValue: 0 &- result)) }
        descriptor = OwnedDescriptor(takingOver: result)
        self.systemCalls = systemCalls

        let version = systemCalls.getAPIVersion(descriptor.number)
        guard version >= 0 else { throw .notKVM(path: path, ErrorNumber(rawValue: 0 &- version)) }
        guard version == KVM_API_VERSION else {
            throw .wrongAPIVersion(found: version, expected: KVM_API_VERSION)
        }
    }

    private static func openError(path: String, _ error: ErrorNumber) -> KVMError {
        switch error {
        case .noSuchFile: .deviceNotFound(path: path)
        case .accessDenied, .notPermitted: .permissionDenied(path: path, error)
        case .tooManyFiles, .tooManyFilesInSystem, .outOfMemory: .outOfResources(name: "open of \(path)", error)
        default: .deviceUnusable(path: path, error)
        }
    }

    /// The version of KVM's API, which is 12 on every stock kernel since Linux 2.6.22.
    public var apiVersion: Int32 { KVM_API_VERSION }

    /// What KVM_CHECK_EXTENSION answers: 0 when the capability is missing, else 1 or a number that the capability
    /// defines.
    public func value(of capability: Capability) -> Int32 {
        // Older kernels answer some queries with an error where newer ones answer 0: the capability is missing.
        max(0, systemCalls.checkExtension(descriptor.number, capability.number))
    }

    /// Checks that KVM has capabilities.
    ///
    /// - Throws: ``KVMError/missingCapability(_:)`` for the first that is missing.
    public func require(_ capabilities: [Capability]) throws(KVMError) {
        for capability in capabilities where value(of: capability) == 0 {
            throw .missingCapability(capability)
        }
    }

    /// The CPUID entries that this host's KVM can back (KVM_GET_SUPPORTED_CPUID).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func supportedCPUID() throws(KVMError) -> CPUIDTable {
        try unsafe CPUIDTable.read("KVM_GET_SUPPORTED_CPUID") { unsafe ckvm_get_supported_cpuid(descriptor.number, $0) }
    }

    /// What was found out about this KVM by trying it, or is now.
    ///
    /// - Parameters:
    ///   - test: The type that finds out, by which the finding is kept.
    ///   - find: Finds out, on one thread at a time. What fails is tried again.
    package func finding<Value: Sendable>(by test: Any.Type, _ find: () throws -> Value) rethrows -> Value {
        try findings.withLock { findings in
            let test = ObjectIdentifier(test)
            if let kept = findings.first(where: { $0.test == test })?.value as? Value { return kept }
            let found = try find()
            findings.append(Finding(test: test, value: found))
            return found
        }
    }
}

/// The system calls by which MiniVMM gets hold of KVM and of memory, in one place that tests can replace to see what
/// happens when the system refuses.
///
/// Each returns its value, or -errno. Calls that a running vCPU makes are not among them: they go straight to CKVM.
// Safe to use: the closures store an address and read none.
@safe
package struct KVMSystemCalls: Sendable {
    package var open: @Sendable (_ path: String) -> Int32 = {
        unsafe ckvm_open(ForeignText.cString($0), O_RDWR)
    }
    var getAPIVersion: @Sendable (_ kvm: Int32) -> Int32 = { ckvm_get_api_version($0) }
    var checkExtension: @Sendable (_ kvm: Int32, _ capability: Int32) -> Int32 = {
        ckvm_check_extension($0, UInt64(truncatingIfNeeded: $1))
    }
    var createVM: @Sendable (_ kvm: Int32) -> Int32 = { ckvm_create_vm($0, 0) }
    var createVCPU: @Sendable (_ vm: Int32, _ id: UInt32) -> Int32 = { ckvm_create_vcpu($0, UInt64($1)) }
    var mapShared: @Sendable (_ fd: Int32, _ size: Int, _ address: inout UnsafeMutableRawPointer?) -> Int32 = {
        unsafe ckvm_map_shared($0, $1, &$2)
    }

    /// The system's own.
    package static let live = KVMSystemCalls()
}
