/// A file of the host, with its bytes.
struct HostFile: Hashable, Sendable {
    /// The path by which it was asked for; there may be links on the way.
    let path: String
    /// What is in it.
    let bytes: [UInt8]
}
