/// Why a file is no record of a run.
public enum RecordError: Error, Hashable, Sendable {
    /// It is no JSON, or lacks what a record has.
    case notARecord
    /// It is a record of a format that this version does not know.
    case wrongSchema(Int)
}
