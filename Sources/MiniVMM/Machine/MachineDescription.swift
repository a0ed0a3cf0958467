/// The machine that a guest runs on.
public struct MachineDescription: Hashable, Sendable {
    /// The size of its memory, in bytes.
    public let memorySize: UInt64
    /// The number of its vCPUs.
    public let vcpuCount: Int
}

extension Machine {
    /// What the machine is made of.
    public var machineDescription: MachineDescription {
        MachineDescription(memorySize: Self.memorySize(parts.memory), vcpuCount: runners.count)
    }

    /// The size as it was asked for: what lies below 4 GiB counts up to its end, with the holes that a PC has in its
    /// first megabyte, and what lies above counts without the hole below it.
    private static func memorySize(_ memory: GuestMemory) -> UInt64 {
        let (low, high) = memory.regions.reduce(into: (low: UInt64(0), high: UInt64(0))) { sizes, region in
            let isLow = region.end <= BootLayout.highMemory.rawValue
            if isLow { sizes.low = region.end } else { sizes.high += region.size }
        }
        return low + high
    }
}
