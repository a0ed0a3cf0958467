import ArgumentParser

/// The options of every command that runs a guest, whatever the guest is.
struct SessionOptions: ParsableArguments {
    @OptionGroup(title: "Devices") var devices: DeviceOptions
    @OptionGroup(title: "Processors") var processors: ProcessorOptions
    @OptionGroup(title: "CPUID") var cpuid: CPUIDOptions
    @OptionGroup(title: "Statistics") var statistics: StatisticsOptions
    @OptionGroup(title: "Reports") var reports: ReportOptions
    @OptionGroup(title: "Reports") var profile: ProfileOptions
    @OptionGroup(title: "Machine") var host: HostOptions
    @OptionGroup(title: "Machine") var limits: RunLimits
    @OptionGroup(title: "Repetition") var repetition: RepeatOptions
    @OptionGroup(title: "While it runs") var live: LiveOptions
    @OptionGroup(title: "While it runs") var metrics: MetricsOptions
    @OptionGroup(title: "Debugger") var debugger: DebuggerOptions

    /// What they ask for.
    var configuration: SessionConfiguration {
        SessionConfiguration(
            processors: processors.configuration, cpuid: cpuid.configuration, statistics: statistics.configuration,
            reports: reports.configuration, profile: profile.configuration, host: host.configuration,
            limits: limits.configuration, devices: devices.configuration, debugger: debugger.configuration,
            repetition: repetition.configuration, live: live.configuration, metrics: metrics.configuration)
    }
}
