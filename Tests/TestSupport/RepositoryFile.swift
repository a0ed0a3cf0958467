import Foundation

/// A file of the repository that tests read.
enum RepositoryFile {
    /// Where a file or folder is, by its path from the repository's root.
    static func url(_ path: String) -> URL {
        // Tests/TestSupport/RepositoryFile.swift
        let root = (0..<3).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        return root.appendingPathComponent(path)
    }

    /// The bytes of a file, by its path from the repository's root.
    static func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: url(path))) }
}
