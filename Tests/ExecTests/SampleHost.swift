@testable import Exec
import Foundation
import Glibc
@testable import TestSupport
import XCTest

/// A tree of files that is taken for a host.
struct SampleHost {
    let folder: TemporaryFolder

    /// The tree.
    var files: HostFiles { HostFiles(root: folder.path) }

    /// Adds a file, and the directories above it.
    func file(_ path: String, _ bytes: [UInt8] = [], mode: mode_t = 0o644) throws {
        try makeWay(path)
        _ = try folder.file(path, bytes)
        chmod(folder.path + path, mode)
    }

    /// Adds a program or library.
    func program(_ path: String, _ program: SampleProgram, mode: mode_t = 0o755) throws {
        try file(path, program.bytes, mode: mode)
    }

    /// Adds a script.
    func script(_ path: String, _ text: String, mode: mode_t = 0o755) throws {
        try file(path, Array(text.utf8), mode: mode)
    }

    /// Adds a link.
    func link(_ path: String, to target: String) throws {
        try makeWay(path)
        try FileManager.default.createSymbolicLink(atPath: folder.path + path, withDestinationPath: target)
    }

    private func makeWay(_ path: String) throws {
        let parent = folder.path + PathWalk.parent(of: path)
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    }

    /// The paths of the files that a program needs.
    func needs(
        of path: String,
        libraryPath: String = "",
        searchPath: String = SearchPath.standard.text,
        from directory: String = "/",
        limits: ExecLimits = ExecLimits()
    ) throws -> [String] {
        let search = DependencySearch(
            sources: HostSources(host: files, limits: limits), directory: directory, libraryPath: libraryPath,
            searchPath: SearchPath(text: searchPath))
        let bytes = try files.read(files.resolve(path))
        return try search.files(neededBy: HostFile(path: path, bytes: bytes)).map(\.path)
    }
}

extension XCTestCase {
    /// What something throws, if that is an error of this layer.
    func error(_ body: () throws -> some Any) -> ExecError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? ExecError
        }
    }
}
