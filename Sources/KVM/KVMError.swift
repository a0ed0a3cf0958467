public import Host

/// What can go wrong between MiniVMM and KVM.
public enum KVMError: Error, Hashable, Sendable {
    /// There is no such device file (ENOENT).
    case deviceNotFound(path: String)
    /// The device file may not be opened (EACCES, EPERM).
    case permissionDenied(path: String, ErrorNumber)
    /// The device file is there, and nothing usable is behind it (ENODEV, ENXIO, EBUSY and the rest).
    case deviceUnusable(path: String, ErrorNumber)
    /// The file opens, and does not understand KVM's ioctls (ENOTTY and the rest).
    case notKVM(path: String, ErrorNumber)
    /// KVM speaks another version of its API.
    case wrongAPIVersion(found: Int32, expected: Int32)
    /// KVM lacks a capability that is needed.
    case missingCapability(Capability)
    /// An ioctl failed.
    case ioctl(name: String, ErrorNumber)
    /// KVM cannot create another virtual machine or vCPU because the system refuses memory, descriptors or threads.
    case outOfResources(name: String, ErrorNumber)
    /// KVM's own statistics do not make sense, and why.
    case malformedStatistics(String)
}

extension KVMError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .deviceNotFound(let path):
            "\(path) does not exist (ENOENT)."
        case .permissionDenied(let path, let error):
            "\(path) may not be opened by this user (\(error.name))."
        case .deviceUnusable(let path, let error):
            "\(path) is there but cannot be opened (\(error.name): \(error.description))."
        case .notKVM(let path, let error):
            "\(path) is not a KVM device: KVM_GET_API_VERSION failed (\(error.name))."
        case .wrongAPIVersion(let found, let expected):
            "KVM's API version is \(found), and MiniVMM needs \(expected)."
        case .missingCapability(let capability):
            "This KVM lacks \(capability.name)."
        case .ioctl(let name, let error):
            "\(name) failed (\(error.name): \(error.description))."
        case .outOfResources(let name, let error):
            "The system refused what \(name) needs (\(error.name): \(error.description))."
        case .malformedStatistics(let reason):
            "The statistics that KVM_GET_STATS_FD gives do not make sense: \(reason)."
        }
    }

    /// The error for a failed ioctl: its own kind when the system refuses resources.
    ///
    /// - Parameters:
    ///   - name: The ioctl's name.
    ///   - result: What the ioctl's function returned: -errno.
    package static func failed(_ name: String, _ result: Int32) -> KVMError {
        let error = ErrorNumber(rawValue: 0 &- result)
        return switch error {
        case .outOfMemory, .tooManyFiles, .tooManyFilesInSystem, .tryAgain: .outOfResources(name: name, error)
        default: .ioctl(name: name, error)
        }
    }
}
