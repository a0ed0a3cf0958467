import CKVM
import Host

/// The kernel's description of its tracepoints.
struct TraceFileSystem: ~Copyable {
    private let directory: OwnedDescriptor

    /// Where it is mounted, where it is.
    private static let places = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
    /// A file that is there where KVM has its tracepoints.
    private static let witness = "events/kvm/kvm_exit/id"

    /// Opens one that shows KVM's tracepoints: what is mounted, else one of this process alone.
    ///
    /// - Throws: ``TracepointError``.
    init() throws(TracepointError) {
        for place in Self.places {
            let result = unsafe ckvm_open(place, O_RDONLY | O_DIRECTORY)
            guard result >= 0 else { continue }
            let candidate = OwnedDescriptor(takingOver: result)
            if Self.shows(Self.witness, candidate.number) {
                directory = candidate
                return
            }
        }
        let result = ckvm_tracefs()
        guard result >= 0 else { throw .noTraceFileSystem(ErrorNumber(rawValue: 0 &- result)) }
        let mounted = OwnedDescriptor(takingOver: result)
        guard Self.shows(Self.witness, mounted.number) else { throw .noTracepoint("kvm_exit") }
        directory = mounted
    }

    /// Whether a file can be opened: asking for permission would ask for the real user, without capabilities.
    private static func shows(_ path: String, _ directory: Int32) -> Bool {
        let result = unsafe ckvm_open_at(directory, path, O_RDONLY)
        guard result >= 0 else { return false }
        _ = ckvm_close(result)
        return true
    }

    /// The number of one of KVM's tracepoints.
    ///
    /// - Throws: ``TracepointError/noTracepoint(_:)``.
    func number(of tracepoint: String) throws(TracepointError) -> UInt64 {
        let text = SmallFile.read("events/kvm/\(tracepoint)/id", in: directory.number).map(Self.text)
        guard let number = text.flatMap({ UInt64($0.filter(\.isNumber)) }) else { throw .noTracepoint(tracepoint) }
        return number
    }

    /// Where a field stands in a tracepoint's record, in bytes.
    ///
    /// - Parameter size: The bytes that it must have.
    /// - Throws: ``TracepointError`` when there is no such tracepoint, or no such field of that size.
    func offset(of field: String, in tracepoint: String, size: Int) throws(TracepointError) -> Int16 {
        guard let bytes = SmallFile.read("events/kvm/\(tracepoint)/format", in: directory.number) else {
            throw .noTracepoint(tracepoint)
        }
        // Such as "\tfield:unsigned int exit_reason;\toffset:8;\tsize:4;\tsigned:0;"
        for line in Self.text(bytes).split(separator: "\n") where line.contains(" \(field);") {
            let parts = line.split(separator: ";").map { $0.filter { $0 != "\t" && $0 != " " } }
            let offset = parts.first { $0.hasPrefix("offset:") }.flatMap { Int16($0.dropFirst("offset:".count)) }
            let length = parts.first { $0.hasPrefix("size:") }.flatMap { Int($0.dropFirst("size:".count)) }
            if let offset, length == size { return offset }
        }
        throw .unknownRecord(tracepoint: tracepoint, field: field)
    }

    private static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}

/// Files of the kernel, which say no size.
package enum SmallFile {
    private static let chunkSize = 1 << 16
    /// More than the types of any kernel.
    private static let maximumSize = 1 << 26

    /// All bytes of a file; nil when it cannot be read.
    package static func read(_ path: String, in directory: Int32 = AT_FDCWD) -> [UInt8]? {
        let result = unsafe ckvm_open_at(directory, path, O_RDONLY)
        guard result >= 0 else { return nil }
        let descriptor = OwnedDescriptor(takingOver: result)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: chunkSize)
        while bytes.count <= maximumSize {
            let count = unsafe ckvm_read(descriptor.number, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 { return nil }
            bytes += chunk[..<count]
        }
        return nil
    }
}
