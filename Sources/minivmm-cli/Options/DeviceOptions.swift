public import ArgumentParser
public import MiniVMM

/// The options of the devices that a Linux guest has besides those of a PC.
struct DeviceOptions: ParsableArguments {
    @Option(
        name: .customLong("disk"),
        help: ArgumentHelp(
            "Linux: a disk in a file or block device, by virtio; FILE,ro for one that is only read; repeatable.",
            valueName: "file"),
        completion: .file())
    var disks: [String] = []

    @Option(
        name: .customLong("net"),
        help: ArgumentHelp(
            "Linux: a network interface, by virtio: of a TAP interface (tap=NAME), or through passt, which is started "
                + "(user) or listens at a socket (passt=PATH); with ,mac=ADDRESS behind it; repeatable.",
            valueName: "kind"))
    var networks: [DeviceConfiguration.Network] = []

    @Option(
        name: .customLong("share"),
        help: ArgumentHelp(
            "Linux: a folder of this host, by virtio. `run`: HOST:TAG, for `mount -t virtiofs TAG /mnt`; `exec`: HOST or "
                + "HOST:PATH, at the same path or at PATH. With ,ro behind it the guest can only read; repeatable.",
            valueName: "host[:name]"),
        completion: .directory)
    var shares: [String] = []

    @Flag(name: .customLong("rng"), help: "Linux: random numbers of the host, by virtio.")
    var hasEntropy = false

    @Option(
        help:
            "How the guest's notifications reach virtio disks and networks: within the kernel, where KVM can, or by exits."
    )
    var notify = DeviceConfiguration().notifications

    /// What they ask for.
    var configuration: DeviceConfiguration {
        DeviceConfiguration(
            disks: disks.map(DeviceConfiguration.DiskFile.init), networks: networks,
            shares: shares.map(DeviceConfiguration.Share.init), hasEntropy: hasEntropy, notifications: notify)
    }

    func validate() throws {
        try configuration.validate()
    }
}

/// The option that says what a Linux guest's console is.
struct ConsoleOptions: ParsableArguments {
    @Option(help: "Linux: what the console is, the serial port or /dev/hvc0.")
    var console = DeviceConfiguration().console
}

extension DeviceConfiguration.Console: ExpressibleByArgument {}
extension NotificationPath: ExpressibleByArgument {}

extension DeviceConfiguration.Network: ExpressibleByArgument {
    init?(argument: String) {
        self.init(argument)
    }
}
