@testable import Counters
@testable import Doctor
@testable import Host
@testable import MiniVMM
@testable import Report
@testable import minivmm_cli

// Reports as the command makes them.

extension RunRecord {
    init(_ outcome: RunOutcome, leaves: CounterLeaves, context: RunContext? = nil) {
        self.init(outcome, leaves: leaves, exitStatus: outcome.ending.exitStatus.rawValue, context: context)
    }
}

extension DeathReport {
    init(_ death: GuestDeath) {
        self.init(death, remedy: death.remedy)
    }
}

extension DoctorReport {
    init(_ diagnosis: HostDiagnosis) {
        self.init(diagnosis, remedies: .command)
    }
}

extension DoctorRecord {
    init(_ diagnosis: HostDiagnosis) {
        self.init(diagnosis, remedies: .command)
    }
}
