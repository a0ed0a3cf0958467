/// KVM's own counts.
extension TextReport {
    /// How many counts stand side by side.
    private static let kernelColumns = 2

    /// What KVM counted of all vCPUs, or of one, and how that relates to MiniVMM's count. No line where KVM does not
    /// tell.
    func kernelBlock(_ statistics: VCPUStatistics) -> [String] {
        let chosen = outcome.kernelStatistics.enumerated()
            .filter { statistics.vcpu == nil || statistics.vcpu == $0.offset }.map(\.element)
        let kernel = KernelCounts(chosen)
        guard !kernel.counts.isEmpty else { return [] }
        var table = TextTable([.left, .right, .left, .right])
        for start in stride(from: 0, to: kernel.counts.count, by: Self.kernelColumns) {
            let pair = kernel.counts[start..<min(start + Self.kernelColumns, kernel.counts.count)]
            var cells = pair.flatMap { ["  " + $0.name, String($0.value)] }
            cells += repeatElement("", count: 2 * Self.kernelColumns - cells.count)
            table.add(cells)
        }
        let relation = kernel.relation(to: statistics).map { [$0] } ?? []
        return ["", style.text("KVM's own counts:", as: .heading)] + table.lines + relation
    }
}
