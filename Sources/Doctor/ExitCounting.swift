public import Host
package import KVM
import MiniVMM
import Report
import Tracepoints

/// Whether this host's KVM tells of every exit, those that it settles itself included: what counting them by reason
/// takes. Each way of attaching to its tracepoints was tried.
public struct ExitCounting: Sendable {
    /// What keeps raw tracepoints from working; nil when they work.
    public let raw: (any DiagnosticError)?
    /// What keeps classic tracepoints from working, by perf events; nil when they work.
    public let classic: (any DiagnosticError)?

    /// Whether one of them works.
    package var works: Bool { raw == nil || classic == nil }

    /// Findings as given.
    package init(raw: (any DiagnosticError)?, classic: (any DiagnosticError)?) {
        self.raw = raw
        self.classic = classic
    }

    /// Tries both.
    package init(of kvm: KVM) {
        raw = Self.obstacle(kvm, .raw)
        classic = Self.obstacle(kvm, .classic)
    }

    private static func obstacle(_ kvm: KVM, _ method: ExitTracepoints.Method) -> (any DiagnosticError)? {
        do {
            try kvm.checkTracepoints(by: method)
            return nil
        } catch let error as any DiagnosticError {
            return error
        } catch {
            // All errors of the test can be shown.
            return KVMError.outOfResources(name: "the self-test", .outOfMemory)
        }
    }

    /// The report's lines: one a method, with what is in its way.
    var lines: [String] {
        [("  raw      ", raw), ("  classic  ", classic)].flatMap { name, obstacle in
            guard let obstacle else { return [name + "works"] }
            let indent = String(repeating: " ", count: name.count)
            return [name + "does not work"] + TextLines.wrapped(obstacle.explanation, first: indent, rest: indent)
        }
    }

    /// What it comes to, and what to do about it.
    func verdict(_ remedies: DoctorRemedies) -> [String] {
        if works { return ["Every exit is counted by reason here, also those that KVM settles."] }
        let obstacles = [raw, classic].compactMap { $0 }
        // Where the tracepoints do not fire, more rights do not help. Else the first is the better way, and what it
        // lacks in rights the other lacks as well.
        let decisive =
            obstacles.first(where: Self.isSilence).map { [$0] }
            ?? obstacles.enumerated().filter { $0 == 0 || !Self.isPermission($1) }.map(\.element)
        let sentences = decisive.map(remedies.problem).filter { !$0.isEmpty }
        return ["Exits that KVM settles cannot be counted by reason here."] + sentences
    }

    private static func isSilence(_ error: any DiagnosticError) -> Bool {
        if case .doesNotCount = error as? TracepointError { true } else { false }
    }

    private static func isPermission(_ error: any DiagnosticError) -> Bool {
        (error as? TracepointError)?.isPermission ?? false
    }
}

/// The same in the JSON format.
struct ExitCountingRecord: Encodable {
    struct Method: Encodable {
        let works: Bool
        let explanation: String?
        let remedy: String?

        private enum CodingKeys: String, CodingKey {
            case works
            case explanation
            case remedy
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(works, forKey: .works)
            // Null where there is none, as everywhere in the format.
            try container.encode(explanation, forKey: .explanation)
            try container.encode(remedy, forKey: .remedy)
        }
    }

    let raw: Method
    let classic: Method

    init(_ counting: ExitCounting, _ remedies: DoctorRemedies) {
        func method(_ obstacle: (any DiagnosticError)?) -> Method {
            Method(works: obstacle == nil, explanation: obstacle?.explanation, remedy: obstacle.map(remedies.problem))
        }
        raw = method(counting.raw)
        classic = method(counting.classic)
    }
}
