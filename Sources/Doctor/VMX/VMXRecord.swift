public import Host
import Report

/// The VMX capability MSRs as the JSON object that `minivmm doctor --vmx --json` prints.
///
/// Values of registers are strings: many readers of JSON keep no more than 53 bits of a number.
public struct VMXRecord: Encodable, Sendable {
    private let schema: Int
    private let vendor: String
    private let processor: String?
    private let sources: Sources
    private let sections: [Section]
    private let svm: SVM?

    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static let schemaVersion = 1

    /// The record of a diagnosis.
    ///
    /// - Parameters:
    ///   - diagnosis: What was found.
    ///   - remedy: What to do about an error, in a sentence.
    public init(_ diagnosis: VMXDiagnosis, remedy: (any DiagnosticError) -> String) {
        func source(_ source: VMXSource) -> Source {
            let obstacle = source.obstacle
            return Source(
                readable: obstacle == nil, explanation: obstacle?.explanation, remedy: obstacle.map(remedy))
        }
        schema = Self.schemaVersion
        vendor = diagnosis.vendor
        processor = diagnosis.processorName
        sources = Sources(processor: source(diagnosis.processor), kvm: source(diagnosis.kvm))
        let none = VMXCapabilities([:])
        let columns = [diagnosis.processor, diagnosis.kvm].map { $0.capabilities ?? none }
        sections = VMXTable(columns).sections.map(Section.init)
        svm = diagnosis.svm.map(SVM.init)
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] { try JSONText.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema, vendor, processor, sources, sections, svm
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(schema, forKey: .schema)
        try container.encode(vendor, forKey: .vendor)
        // Null where there is none, as everywhere in the format.
        try container.encode(processor, forKey: .processor)
        try container.encode(sources, forKey: .sources)
        try container.encode(sections, forKey: .sections)
        try container.encode(svm, forKey: .svm)
    }
}

extension VMXRecord {
    private struct Sources: Encodable, Sendable {
        let processor, kvm: Source
    }

    private struct Source: Encodable, Sendable {
        let readable: Bool
        let explanation, remedy: String?

        private enum CodingKeys: String, CodingKey {
            case readable, explanation, remedy
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(readable, forKey: .readable)
            try container.encode(explanation, forKey: .explanation)
            try container.encode(remedy, forKey: .remedy)
        }
    }

    /// What each source has of one thing; null where it has nothing.
    private struct Columns<Value: Encodable & Sendable>: Encodable, Sendable {
        let processor, kvm: Value?

        init(_ values: [Value?]) {
            processor = values[0]
            kvm = values[1]
        }

        private enum CodingKeys: String, CodingKey {
            case processor, kvm
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(processor, forKey: .processor)
            try container.encode(kvm, forKey: .kvm)
        }
    }

    private struct Section: Encodable, Sendable {
        let title: String
        let registers: [Register]
        let controls: [Control]
        let facts: [Fact]

        init(_ section: VMXTable.Section) {
            title = section.title
            registers = section.registers.map { Register($0) }
            controls = section.rows.compactMap {
                guard case .control(let bit, let name, let settings) = $0 else { return nil }
                return Control(bit: bit, name: name, allowed: Columns(settings.map { $0.map(Setting.init) }))
            }
            facts = section.rows.compactMap {
                guard case .fact(let bits, let name, let readings) = $0 else { return nil }
                return Fact(bits: [bits.lowerBound, bits.upperBound], name: name, value: Columns(readings))
            }
        }
    }

    private struct Register: Encodable, Sendable {
        let name, index: String
        let value: Columns<String>

        init(_ register: VMXTable.Register) {
            name = register.register.name
            index = "0x" + String(register.register.rawValue, radix: 16)
            value = Columns(register.values.map { $0.map(VMXReport.hexadecimal) })
        }
    }

    private struct Control: Encodable, Sendable {
        let bit: Int
        let name: String
        let allowed: Columns<Setting>
    }

    private struct Setting: Encodable, Sendable {
        let canSet, canClear: Bool

        init(_ setting: VMXSetting) {
            canSet = setting.canSet
            canClear = setting.canClear
        }

        private enum CodingKeys: String, CodingKey {
            case canSet = "can_set"
            case canClear = "can_clear"
        }
    }

    private struct Fact: Encodable, Sendable {
        let bits: [Int]
        let name: String
        let value: Columns<String>
    }

    private struct SVM: Encodable, Sendable {
        let revision, asids: UInt32
        let features: [String: Bool]

        init(_ svm: SVMFeatures) {
            revision = svm.revision
            asids = svm.identifierCount
            features = Dictionary(uniqueKeysWithValues: svm.features.map { ($0.name, $0.isPresent) })
        }
    }
}
