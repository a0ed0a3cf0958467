import CKVM

/// The KVM of this host: an open /dev/kvm whose API version is the expected one.
public final class KVM: Sendable {
    /// The device file that KVM is reached by, unless another is named.
    public static let defaultDevicePath = "/dev/kvm"

    let descriptor: OwnedDescriptor
    let systemCalls: KVMSystemCalls
    private let knownTrapSupport = FirstResult<CPUIDTrapSupport>()
    private let knownLinuxSupport = FirstResult<LinuxSupport>()
    private let knownFaultTrapSupport = FirstResult<Bool>()

    /// Opens KVM.
    ///
    /// - Parameter path: The device file.
    /// - Throws: ``KVMError`` when there is no usable KVM behind the path.
    public convenience init(path: String = KVM.defaultDevicePath) throws(KVMError) {
        try self.init(path: path, systemCalls: .live)
    }

    init(path: String, systemCalls: KVMSystemCalls) throws(KVMError) {
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
        try CPUIDTable.read("KVM_GET_SUPPORTED_CPUID") { ckvm_get_supported_cpuid(descriptor.number, $0) }
    }

    /// Which CPUID traps work on this host for code in ring 0, found out at the first call by running a few
    /// instructions.
    ///
    /// - Throws: ``KVMError`` or ``GuestMemoryError`` when not even a throw-away machine can be made.
    public func trapSupport() throws -> CPUIDTrapSupport {
        try knownTrapSupport.value { try CPUIDTrapSelfTest.run(kvm: self) }
    }

    /// Whether Linux guests boot on this host, found out at the first call by running two instructions.
    ///
    /// - Throws: ``KVMError`` or ``GuestMemoryError`` when not even a throw-away machine can be made.
    public func linuxSupport() throws -> LinuxSupport {
        try knownLinuxSupport.value { try LinuxSelfTest.run(kvm: self) }
    }

    /// Whether the fault trap works on this host, for programs under an operating system; found out like
    /// ``trapSupport()``.
    ///
    /// - Throws: ``KVMError`` or ``GuestMemoryError`` when not even a throw-away machine can be made.
    public func supportsFaultTrap() throws -> Bool {
        try knownFaultTrapSupport.value { try FaultTrapSelfTest.run(kvm: self) }
    }
}
