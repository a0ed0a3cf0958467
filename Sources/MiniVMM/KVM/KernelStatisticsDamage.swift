/// What can be wrong with the bytes of KVM's statistics.
enum KernelStatisticsDamage: Error, Hashable {
    /// They end before the header does.
    case shortHeader
    /// They go on and on.
    case tooLong
    /// A part, by its name, lies outside them.
    case outOfBounds(String)
    /// A name does not end within its room.
    case unterminatedName

    /// What is wrong, in words.
    var description: String {
        switch self {
        case .shortHeader: "the header is cut off"
        case .tooLong: "they have no end"
        case .outOfBounds(let part): "\(part) lies outside them"
        case .unterminatedName: "a name has no end"
        }
    }
}
