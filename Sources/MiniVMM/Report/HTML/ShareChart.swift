/// The kinds' shares of the exits and of the service time.
struct ShareChart {
    private let statistics: VCPUStatistics
    private let palette: KindPalette

    init(_ statistics: VCPUStatistics, palette: KindPalette) {
        self.statistics = statistics
        self.palette = palette
    }

    var html: String {
        let rows = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }.map { kind in
            "<div>\(palette.label(kind.kind))</div>" + bar(kind.kind, kind.exits, of: statistics.exits)
                + bar(kind.kind, kind.serviceCycles, of: statistics.serviceCycles)
        }
        return "<div class=\"shares\">\n<div></div><div>of exits</div><div>of service time</div>\n"
            + rows.joined(separator: "\n") + "\n</div>\n"
    }

    private func bar(_ kind: ExitKind, _ part: UInt64, of whole: UInt64) -> String {
        let width = whole == 0 ? 0 : Double(part) / Double(whole) * 100
        return "<div class=\"bar\"><span class=\"track\"><b class=\"\(palette.colorClass(of: kind))\" "
            + "style=\"width:\(HTML.number(width))%\"></b></span>"
            + "<span class=\"value\">\(HumanNumber.share(part, of: whole))</span></div>"
    }
}
