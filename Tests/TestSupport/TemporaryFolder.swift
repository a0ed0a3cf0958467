import Foundation
import XCTest

/// A folder for the files of one test.
struct TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/minivmm-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// Removes the folder and what is in it.
    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of a file in the folder, which need not exist.
    func path(_ name: String) -> String { path + "/" + name }

    /// Makes a file.
    ///
    /// - Returns: Its path.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
        return path(name)
    }

    /// The names of what is in the folder.
    func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path)
    }

    /// The bytes of a file.
    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }
}

extension XCTestCase {
    /// A folder that is removed when the present test ends.
    func makeFolder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        addTeardownBlock { folder.remove() }
        return folder
    }
}
