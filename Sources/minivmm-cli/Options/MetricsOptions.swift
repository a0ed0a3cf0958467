import ArgumentParser
package import Report

/// The options of what monitoring systems read while a run goes on.
struct MetricsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Give the counters to Prometheus: in a file *.prom, or at 127.0.0.1:PORT or unix:PATH by HTTP.",
            valueName: "target"))
    var metrics: MetricsTarget?

    @Option(
        help: ArgumentHelp("Write the file of --metrics every so many seconds (default: 5).", valueName: "seconds"))
    var metricsInterval: Double?

    @Option(help: ArgumentHelp("A label for every number of --metrics; may be repeated.", valueName: "name=value"))
    var metricsLabel: [MetricsLabel] = []

    /// What they ask for.
    var configuration: MetricsConfiguration {
        MetricsConfiguration(target: metrics, interval: metricsInterval, labels: metricsLabel)
    }

    func validate() throws {
        try configuration.validate()
    }
}

extension MetricsTarget: ExpressibleByArgument {
    init?(argument: String) {
        self.init(argument)
    }
}

extension MetricsLabel: ExpressibleByArgument {
    package init?(argument: String) {
        guard let equals = argument.firstIndex(of: "=") else { return nil }
        self.init(name: String(argument[..<equals]), value: String(argument[argument.index(after: equals)...]))
    }
}
