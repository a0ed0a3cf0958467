import Counters

/// The colors of the types of exits, where every exit was counted: the types that took most time get one of their own.
/// KVM's part of a type has the color in full, MiniVMM's part is pale.
struct TypePalette {
    let colors: ColorPalette

    init(_ breakdown: ExitBreakdown) {
        colors = ColorPalette(breakdown.types.sorted { $0.nanoseconds > $1.nanoseconds }.map(\.name))
    }

    /// The class of the elements of a type, which the style sheet gives its color.
    func colorClass(of name: String, _ settler: ExitBreakdown.Settler = .kvm) -> String {
        colors.colorClass(of: name) + (settler == .miniVMM ? " vmm" : "")
    }

    /// A square in the type's color, and a name.
    func label(_ text: String, of type: String, _ settler: ExitBreakdown.Settler = .kvm) -> Markup {
        ColorPalette.label(text, colorClass(of: type, settler))
    }

    /// What full and pale colors mean.
    var settlerLegend: Markup {
        """
        <p class="legend">\(ColorPalette.label("settled by KVM", "ki")) \
        \(ColorPalette.label("came out to MiniVMM", "ki vmm"))</p>

        """
    }
}

extension ExitBreakdown.Row {
    /// The name of the type that it counts to, as ``ExitBreakdown/types`` has it.
    var typeName: String { type?.name ?? name }
}

/// The types' shares of all exits and of what they took, KVM's part apart from MiniVMM's.
struct AllExitsShareChart {
    private let breakdown: ExitBreakdown
    private let palette: TypePalette
    private let groups: ExitGroups

    init(_ breakdown: ExitBreakdown, palette: TypePalette, groups: ExitGroups) {
        self.groups = groups
        self.breakdown = breakdown
        self.palette = palette
    }

    var markup: Markup {
        let rows = breakdown.types.sorted { $0.nanoseconds > $1.nanoseconds }.map { type in
            let group = groups.number(of: breakdown.rows.first { $0.typeName == type.name }.map(ExitGroups.name) ?? "")
            let exits = bar(type.name, of: Double(breakdown.exits)) { Double($0.exits) }
            let time = bar(type.name, of: breakdown.nanoseconds) { $0.nanoseconds }
            return ShareChart.row(palette.label(type.name, of: type.name), exits, time, group: group)
        }
        return """
            <div class="shares">
            <div></div><div>of exits</div><div>of time</div>
            \(rows.joined(separator: "\n"))
            </div>
            \(palette.settlerLegend)
            """
    }

    /// A type's bar: KVM's part, and behind it MiniVMM's.
    private func bar(_ name: String, of whole: Double, _ number: (ExitBreakdown.Row) -> Double) -> Markup {
        let rows = breakdown.rows.filter { $0.typeName == name }
        let parts = [ExitBreakdown.Settler.kvm, .miniVMM].map { settler in
            (settler, rows.reduce(0) { $1.settler == settler ? $0 + number($1) : $0 })
        }
        let bars = parts.filter { $0.1 > 0 }.map { settler, part -> Markup in
            """
            <b class="\(palette.colorClass(of: name, settler))" style="width:\(number: part / whole * 100)%" \
            title="\(settler == .kvm ? "KVM" : "MiniVMM"): \(HumanNumber.share(UInt64(part), of: UInt64(whole)))"></b>
            """
        }
        let sum = parts.reduce(0) { $0 + $1.1 }
        return """
            <span class="track parts">\(bars.joined())</span>\
            <span class="value">\(HumanNumber.share(UInt64(sum), of: UInt64(whole)))</span>
            """
    }
}
