@testable import Counters
@testable import Host
@testable import Report
@testable import TestSupport

/// A run with all that a report can show, to the letter.
enum ReportExample {
    static let context = RunContext(
        command: ["minivmm", "run", "it's.bin", "--report", "a.html"], startedAt: 1_793_000_000, guest: "<it's>.bin",
        machine: MachineDescription(memorySize: 16 << 20, vcpuCount: 2),
        host: HostDescription(
            processor: "Example & Sons CPU", kernelRelease: "6.1.0", modules: ["kvm", "kvm_amd"],
            hasInvariantTSC: true))

    static var outcome: RunOutcome {
        var outcome = RunOutcome.example(
            [[.init(.portOut, [100, 300]), .init(.hlt, [50])], [.init(.portOut, [200])]],
            runCycles: 4000, duration: .microseconds(20), trap: .none)
        outcome.timeline = ExitTimeline(
            intervalCycles: 16_384, intervalCount: 2,
            series: [.init(kind: .portOut, exits: [2, 1]), .init(kind: .hlt, exits: [0, 1])])
        outcome.distributions = [
            .init(kind: .portOut, classes: [.init(number: 26, exits: 1), .init(number: 30, exits: 2)]),
            .init(kind: .hlt, classes: [.init(number: 22, exits: 1)]),
        ]
        return outcome
    }

    /// Two exits of the first vCPU, one of the second, which lost two.
    static var trace: ExitTrace {
        var out = TraceEvent(start: 10_000, cycles: 3)
        out.kindNumber = UInt8(ExitKind.portOut.rawValue)
        out.subject = 0x3f8
        out.width = 1
        out.extra = 1
        var read = TraceEvent(start: 10_003, cycles: 4_600)
        read.kindNumber = UInt8(ExitKind.mmioRead.rawValue)
        read.subject = 0xfee0_0000
        read.width = 4
        var cpuid = TraceEvent(start: 9_000, cycles: 2_000_000)
        cpuid.kindNumber = UInt8(ExitKind.cpuid.rawValue)
        cpuid.subject = 0x4fff_fffc
        cpuid.extra = 10
        return ExitTrace(
            tracks: [
                .init(vcpu: 0, events: [out, read], lostCount: 0), .init(vcpu: 1, events: [cpuid], lostCount: 2),
            ], origin: 9_500)
    }
}
