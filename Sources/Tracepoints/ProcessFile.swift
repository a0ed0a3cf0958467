import Host

/// What /proc says of a process.
package enum ProcessFile {
    /// A line of /proc/PID/status without its name, such as the numbers of `NSpid`.
    ///
    /// - Returns: nil when there is no such process, or no such line.
    package static func status(_ name: String, of process: Int32) -> String? {
        guard let bytes = SmallFile.read("/proc/\(process)/status") else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("\(name):") }) else { return nil }
        return String(line.dropFirst(name.count + 1).drop { $0 == "\t" || $0 == " " })
    }

    /// The number of the process that a thread belongs to.
    package static func process(ofThread thread: Int32) -> Int32? {
        status("Tgid", of: thread).flatMap { Int32($0) }
    }

    /// The number that a process has in its own namespace of process ids.
    static func innermostNumber(of process: Int32) -> Int32? {
        status("NSpid", of: process)?.split(separator: "\t").last.flatMap { Int32($0) }
    }
}
