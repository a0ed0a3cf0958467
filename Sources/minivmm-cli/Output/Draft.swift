import CKVM
import Glibc
import Host

/// A file that is being written, beside the place where it is to stand.
// Safe to use: the name is an array, and lives as long as this object.
final class Draft: Sendable {
    /// The open file.
    let descriptor: Int32
    /// Where it is to stand.
    private let folder: Folder
    /// The name that it has meanwhile; only the zero at its end if it has none.
    private let temporary: [CChar]
    private let name: [CChar]
    private let mode: mode_t

    /// A directory that is open for as long as a draft is to stand in it.
    private final class Folder: Sendable {
        let descriptor: Int32

        init(_ descriptor: Int32) {
            self.descriptor = descriptor
        }

        deinit { close(descriptor) }
    }

    /// The directory's descriptor.
    var directory: Int32 { folder.descriptor }

    /// Begins one.
    ///
    /// - Returns: Nil where there is something that is not to be replaced: a pipe, a device, a file with several names,
    ///   or one in a directory that takes no new files.
    /// - Throws: ``OutputError`` when there is a file that may not be written.
    init?(of path: String) throws(OutputError) {
        var status = stat()
        let exists = unsafe stat(ForeignText.cString(path), &status) == 0
        var place = path
        var mode: mode_t = 0o666
        if exists {
            guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else { return nil }
            guard unsafe access(ForeignText.cString(path), W_OK) == 0
            else { throw .notWritable(name: path, ErrorNumber(rawValue: errno)) }
            guard let resolved = Self.resolve(path) else { return nil }
            place = resolved
            mode = status.st_mode & 0o777
        } else {
            // A link that leads nowhere is followed as it always was.
            var link = stat()
            if unsafe lstat(ForeignText.cString(path), &link) == 0 { return nil }
        }
        let bytes = ForeignText.bytes(place)
        let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
        let parent = slash.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(bytes[..<$0]) } ?? Array(".".utf8)
        name = (slash.map { Array(bytes[($0 + 1)...]) } ?? bytes).terminated
        guard name.count > 1 else { return nil }
        let directory = unsafe open(parent.terminated, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return nil }
        folder = Folder(directory)
        guard Self.mayReplace(exists ? status : nil, in: directory) else { return nil }
        var temporary = [CChar](repeating: 0, count: Int(CKVM_NAME_SIZE))
        descriptor = unsafe ckvm_create_unnamed(directory, name, mode, &temporary)
        self.temporary = temporary
        self.mode = mode
        guard descriptor >= 0 else { return nil }
        // Not masked: who had access to the old one has it to the new one.
        if exists { fchmod(descriptor, mode) }
        UnfinishedFiles.add(self)
    }

    /// Begins another one for the same place, when the first has been put there. A confined process can do so that may make
    /// files.
    ///
    /// - Returns: 0 or above, or -errno: then the draft is none.
    init(after first: Draft) {
        (folder, name, mode) = (first.folder, first.name, first.mode)
        var temporary = [CChar](repeating: 0, count: Int(CKVM_NAME_SIZE))
        descriptor = unsafe ckvm_create_likewise(
            first.directory, first.name, first.mode, first.temporary, &temporary)
        self.temporary = temporary
        if descriptor >= 0 { UnfinishedFiles.add(self) }
    }

    /// Whether a file can be put at its place without privileges: after the run, the process has none.
    private static func mayReplace(_ old: stat?, in directory: Int32) -> Bool {
        var status = stat()
        guard unsafe fstat(directory, &status) == 0 else { return false }
        let user = geteuid()
        guard status.st_mode & S_ISVTX == 0 || status.st_uid == user || old.map({ $0.st_uid == user }) ?? true
        else { return false }
        // Who has no privileges is told by the system itself.
        guard user == 0 else { return true }
        if status.st_uid == 0 { return status.st_mode & S_IWUSR != 0 }
        return status.st_mode & S_IWOTH != 0 || status.st_gid == getegid() && status.st_mode & S_IWGRP != 0
    }

    private static func resolve(_ path: String) -> String? {
        guard let resolved = unsafe realpath(ForeignText.cString(path), nil) else { return nil }
        defer { unsafe free(resolved) }
        // Sound: realpath(3) returns a string that ends with a zero, to be freed.
        return unsafe ForeignText.text(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
    }

    /// Puts the file at its place.
    ///
    /// - Returns: 0, or -errno.
    func publish() -> Int32 {
        let result = unsafe ckvm_publish(descriptor, directory, temporary, name)
        if result == 0 { UnfinishedFiles.forget(self) }
        return result
    }

    /// Takes the file away, unless it was put at its place.
    func discard() {
        if UnfinishedFiles.forget(self) { remove() }
    }

    fileprivate func remove() {
        if temporary[0] != 0 { _ = unsafe unlinkat(directory, temporary, 0) }
    }
}

/// The drafts that are to go if the process ends before they are put at their places.
enum UnfinishedFiles {
    private static let drafts = Locked<[ObjectIdentifier: Draft]>([:])

    fileprivate static func add(_ draft: Draft) {
        // Only one with a name would be left behind.
        drafts.withLock { $0[ObjectIdentifier(draft)] = draft }
    }

    /// - Returns: Whether it was one.
    @discardableResult
    fileprivate static func forget(_ draft: Draft) -> Bool {
        drafts.withLock { $0.removeValue(forKey: ObjectIdentifier(draft)) != nil }
    }

    /// Removes all of them.
    static func removeAll() {
        drafts.withLock { drafts in
            for draft in drafts.values { draft.remove() }
        }
    }
}

/// The files that a command reads and writes, held against each other before any is opened for writing.
struct FilePlan {
    private var seen: [Key: String] = [:]

    /// What makes two paths the same file: the file's own numbers, or those of its directory and its name there.
    private struct Key: Hashable {
        let device: UInt
        let inode: UInt
        let name: [UInt8]
    }

    /// Checks that no output is an input or another output.
    ///
    /// - Throws: ``OutputError/sameFile(_:_:)``.
    static func check(inputs: [String], outputs: [String]) throws(OutputError) {
        // Most runs write none, and to make a dictionary's type takes a process's start some time.
        guard !outputs.isEmpty else { return }
        var plan = FilePlan()
        for input in inputs { if let key = key(of: input) { plan.seen[key] = input } }
        for output in outputs {
            guard let key = key(of: output) else { continue }
            if let other = plan.seen.updateValue(output, forKey: key) { throw .sameFile(output, other) }
        }
    }

    /// Nil for what is no regular file: a pipe or a terminal can be written to by several.
    private static func key(of path: String) -> Key? {
        var status = stat()
        if unsafe stat(ForeignText.cString(path), &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFREG else { return nil }
            return Key(device: status.st_dev, inode: status.st_ino, name: [])
        }
        let bytes = ForeignText.bytes(path)
        let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { ForeignText.text(bytes[...$0]) } ?? "."
        guard unsafe stat(ForeignText.cString(folder), &status) == 0 else { return nil }
        return Key(
            device: status.st_dev, inode: status.st_ino, name: slash.map { Array(bytes[($0 + 1)...]) } ?? bytes)
    }
}

extension Optional {
    /// What there is: one, or none. A list of optionals would be a type of its own, which each process makes at its start.
    var elements: [Wrapped] { map { [$0] } ?? [] }
}
