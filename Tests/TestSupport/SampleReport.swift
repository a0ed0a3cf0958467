/// The text of a report of a run, with the members that readers need and no more.
enum SampleReport {
    /// A report.
    ///
    /// - Parameters:
    ///   - kinds: The kinds, of which there was an exit each, as they stand in the text.
    ///   - more: Further members, each with a comma behind it.
    static func text(kinds: [String], more: String = "") -> [UInt8] {
        let entries = kinds.map { kind in
            #"{"kind": "\#(kind)", "sdm": null, "exits": 1, "service_cycles": 3, "p50": 3, "p99": 3, "max": 3}"#
        }
        let total = #"{"exits": 1, "service_cycles": 3, "run_cycles": 1, "internal_exits": 0, "internal_cycles": 0}"#
        return Array(
            #"""
            {"schema": 1, "kinds": [\#(entries.joined(separator: ","))], "total": \#(total), "vcpus": [], \#(more)
            "outcome": {"kind": "halted", "summary": "the guest halted", "exit_status": 0}, "leaves": "f22",
            "cpuid_trap": "none", "exits_scope": "user", "duration_ns": 1}
            """#.utf8)
    }
}
