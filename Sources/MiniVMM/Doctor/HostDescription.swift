/// The host that guests run on, as far as it says so itself.
public struct HostDescription: Hashable, Sendable {
    /// The processor's own name for itself, where it has one.
    public var processor: String?
    /// The kernel's release, such as `6.1.0-30-amd64`.
    public var kernelRelease: String
    /// The KVM modules that are loaded or built in, such as `kvm_intel`.
    public var modules: [String]
    /// Whether the time-stamp counter runs at the same rate in all power states.
    public var hasInvariantTSC: Bool

    /// The host of this process.
    public static var current: HostDescription {
        HostDescription(
            processor: HostFacts.processorName, kernelRelease: HostFacts.kernelRelease, modules: HostFacts.kvmModules,
            hasInvariantTSC: HostFacts.hasInvariantTSC)
    }
}
