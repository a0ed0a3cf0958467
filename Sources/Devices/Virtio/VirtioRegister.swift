/// The registers of a virtio device over MMIO, by their offsets. All have 32 bits.
///
/// Source: virtio 1.2, section 4.2.2 "MMIO Device Register Layout".
enum VirtioRegister {
    static let magic: UInt64 = 0x000
    static let version: UInt64 = 0x004
    static let deviceID: UInt64 = 0x008
    static let vendorID: UInt64 = 0x00c
    static let deviceFeatures: UInt64 = 0x010
    static let deviceFeaturesSelector: UInt64 = 0x014
    static let driverFeatures: UInt64 = 0x020
    static let driverFeaturesSelector: UInt64 = 0x024
    static let queueSelector: UInt64 = 0x030
    static let queueMaximumSize: UInt64 = 0x034
    static let queueSize: UInt64 = 0x038
    static let queueReady: UInt64 = 0x044
    static let queueNotify: UInt64 = 0x050
    static let interruptStatus: UInt64 = 0x060
    static let interruptAcknowledge: UInt64 = 0x064
    static let status: UInt64 = 0x070
    static let queueDescriptorsLow: UInt64 = 0x080
    static let queueDescriptorsHigh: UInt64 = 0x084
    static let queueDriverLow: UInt64 = 0x090
    static let queueDriverHigh: UInt64 = 0x094
    static let queueDeviceLow: UInt64 = 0x0a0
    static let queueDeviceHigh: UInt64 = 0x0a4
    static let sharedMemoryLengthLow: UInt64 = 0x0b0
    static let sharedMemoryLengthHigh: UInt64 = 0x0b4
    static let sharedMemoryBaseLow: UInt64 = 0x0b8
    static let sharedMemoryBaseHigh: UInt64 = 0x0bc
    static let configurationGeneration: UInt64 = 0x0fc
    static let configuration: UInt64 = 0x100

    /// "virt".
    static let magicValue: UInt32 = 0x7472_6976
    /// Not a legacy device.
    static let versionValue: UInt32 = 2
    /// "MVMM": any that tells MiniVMM's devices from others.
    static let vendorValue: UInt32 = 0x4d4d_564d
}

/// What a driver and a device say of where they are. Source: virtio 1.2, section 2.1 "Device Status Field".
struct VirtioStatus: OptionSet, Sendable {
    let rawValue: UInt32

    static let acknowledged = Self(rawValue: 1)
    static let driverFound = Self(rawValue: 2)
    static let driverReady = Self(rawValue: 4)
    static let featuresAccepted = Self(rawValue: 8)
    static let needsReset = Self(rawValue: 0x40)
    static let failed = Self(rawValue: 0x80)

    /// What a driver sets.
    static let ofDriver: Self = [.acknowledged, .driverFound, .driverReady, .featuresAccepted, .failed]
}

/// What a device and its driver can agree upon, beside what belongs to one kind of device.
///
/// Source: virtio 1.2, section 6 "Reserved Feature Bits".
struct VirtioFeatures: OptionSet, Sendable {
    let rawValue: UInt64

    /// A descriptor can stand for a table of them.
    static let indirectDescriptors = Self(rawValue: 1 << 28)
    /// Each side says after which element it wants to hear from the other.
    static let eventIndex = Self(rawValue: 1 << 29)
    /// Not a legacy device.
    static let version1 = Self(rawValue: 1 << 32)

    /// What every device offers.
    static let ofTransport: Self = [.indirectDescriptors, .eventIndex, .version1]
}

/// Why an interrupt came. Source: virtio 1.2, section 4.2.2, InterruptStatus.
enum VirtioInterruptCause {
    static let usedBuffers: UInt32 = 1
    static let configurationChange: UInt32 = 2
}

/// What kind of device it is. Source: virtio 1.2, section 5 "Device Types".
package enum VirtioKind: UInt32, Sendable {
    case network = 1
    case block = 2
    case console = 3
    case entropy = 4
    case fileSystem = 26
}

/// What a driver does that is against the specification. Its device then works no more until it is reset.
package enum VirtqueueFault: Error, Hashable, Sendable {
    /// A queue's size is none, not a power of two, or more than the device allows.
    case queueSize(UInt32)
    /// A part of a queue is not aligned, or not in memory.
    case queueAddress(UInt64)
    /// More elements are available than the queue has.
    case availableIndex
    /// A descriptor that is not there.
    case descriptorNumber(UInt16)
    /// A chain of more descriptors than the queue has.
    case chainTooLong
    /// A buffer that is empty or not in memory; or buffers of more than 4 GiB in a chain.
    case buffer(address: UInt64, size: UInt32)
    /// A buffer for the device to read behind one to write.
    case bufferOrder
    /// A table of descriptors where none may be, of an impossible size, or not in memory.
    case indirectTable
    /// A request without the room that its kind takes.
    case request
    /// A step of the initialization before the one that it needs.
    case initialization
}
