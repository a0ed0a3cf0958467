import Foundation

/// The descriptors that this process has open.
enum OpenDescriptors {
    /// What each number refers to, such as `/dev/kvm` or `anon_inode:kvm-vm`.
    static func all() throws -> [Int32: String] {
        let folder = "/proc/self/fd"
        var descriptors: [Int32: String] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            // The descriptor of the listing itself is in it, and is gone by now.
            guard let number = Int32(name), fcntl(number, F_GETFD) >= 0 else { continue }
            descriptors[number] = try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)
        }
        return descriptors
    }
}
