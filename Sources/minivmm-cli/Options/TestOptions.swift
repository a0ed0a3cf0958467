import ArgumentParser

/// The options for guests that are test programs.
struct TestOptions: ParsableArguments {
    @Flag(help: "Give the guest QEMU's pc-testdev, which the tests of KVM use.")
    var testDevice = false

    @Option(
        help: "The exit status of a guest that writes V to port 0xF4: V (plain), or 2V + 1 as QEMU has it (qemu).")
    var exitStyle = TestConfiguration().exitStyle

    /// What they ask for.
    var configuration: TestConfiguration { TestConfiguration(hasDevice: testDevice, exitStyle: exitStyle) }
}

extension ExitStyle: ExpressibleByArgument {}
