import MiniVMM

extension MachineOptions {
    /// What the options that all commands with a machine have ask for.
    init(
        processors: ProcessorOptions, cpuid: CPUIDOptions, statistics: StatisticsOptions, reports: ReportOptions,
        host: HostOptions
    ) {
        self.init()
        processors.apply(to: &self)
        cpuid.apply(to: &self)
        statistics.apply(to: &self)
        reports.apply(to: &self)
        logger = host.makeLogger()
    }
}
