import FoundationEssentials

/// The statistics of a run, read back from the JSON that ``RunRecord`` wrote.
///
/// Members that this version does not know are passed over, and those that comparing does not need may be missing.
public struct RecordedStatistics: Hashable, Sendable {
    /// The exits of one kind.
    struct Kind: Hashable, Sendable {
        let name: String
        let exits: UInt64
        let serviceCycles: UInt64
    }

    let kinds: [Kind]
    /// Time in KVM_RUN, in cycles.
    let runCycles: UInt64
    /// Nanoseconds.
    let duration: UInt64
    /// The frequency of the time-stamp counter in kHz, where it was known.
    let tscKHz: UInt32?
    /// The guest's name, where it was recorded.
    let guest: String?

    /// Reads a record.
    ///
    /// - Throws: ``RecordError`` when the text is no record of a run that this version understands.
    public init(json: [UInt8]) throws(RecordError) {
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: Data(json))
        } catch {
            throw .notARecord
        }
        guard file.schema == RunRecord.schemaVersion else { throw .wrongSchema(file.schema) }
        kinds = file.kinds.map { Kind(name: $0.kind, exits: $0.exits, serviceCycles: $0.serviceCycles) }
        runCycles = file.total.runCycles
        duration = file.duration
        tscKHz = file.tscKHz
        guest = file.context?.guest
    }

    /// The parts of the file that are needed, as they stand there.
    private struct File: Decodable {
        struct Kind: Decodable {
            let kind: String
            let exits: UInt64
            let serviceCycles: UInt64

            enum CodingKeys: String, CodingKey {
                case kind
                case exits
                case serviceCycles = "service_cycles"
            }
        }

        struct Total: Decodable {
            let runCycles: UInt64

            enum CodingKeys: String, CodingKey {
                case runCycles = "run_cycles"
            }
        }

        struct Context: Decodable {
            let guest: String
        }

        let schema: Int
        let kinds: [Kind]
        let total: Total
        let duration: UInt64
        let tscKHz: UInt32?
        let context: Context?

        enum CodingKeys: String, CodingKey {
            case schema
            case kinds
            case total
            case duration = "duration_ns"
            case tscKHz = "tsc_khz"
            case context
        }
    }
}
