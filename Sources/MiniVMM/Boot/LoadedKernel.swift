/// A Linux kernel in guest memory, ready to be entered.
public struct LoadedKernel: Hashable, Sendable {
    /// The registers with which the first vCPU starts.
    public let entry: EntryState
    /// What the kernel takes of the memory until it knows its memory map.
    public let kernel: Range<GuestPhysicalAddress>
    /// Where the initrd is, if there is one.
    public let initrd: Range<GuestPhysicalAddress>?
}
