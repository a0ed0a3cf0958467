import Foundation

/// A file of the repository that tests read.
enum RepositoryFile {
    /// The bytes of a file, by its path from the repository's root.
    static func bytes(_ path: String, testFile: String = #filePath) throws -> [UInt8] {
        // Tests/MiniVMMTests/Support/RepositoryFile.swift
        let root = (0..<4).reduce(URL(fileURLWithPath: testFile)) { url, _ in url.deletingLastPathComponent() }
        return [UInt8](try Data(contentsOf: root.appendingPathComponent(path)))
    }
}
