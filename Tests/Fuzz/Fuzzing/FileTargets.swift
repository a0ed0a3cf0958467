@testable import Boot
@testable import Exec
import Foundation
@testable import Host
@testable import Memory
@testable import Report

/// Files that somebody has made.
enum FileTargets {
    /// What a guest has of memory: enough for the seeds, and little to make anew for each input.
    private static let memorySize: UInt64 = 4 << 20

    static func images() throws -> ([UInt8]) throws -> Void {
        var settings = GuestSettings()
        settings.memorySize = memorySize
        return { bytes in
            check(!ImageFormat(detecting: bytes).description.isEmpty, "a format without a name")
            let guest: any Guest
            do {
                guest = try GuestLoaders.guest(ImageFile(path: "fuzzed", bytes: bytes), settings)
            } catch let error as ImageError {
                check(!error.description.isEmpty, "an error without a sentence")
                return
            }
            let memory = try guest.makeMemory()
            let platform = GuestPlatform(acpiRootPointer: BootLayout.acpiTables, kernelArguments: ["quiet"])
            let loaded = try guest.load(into: memory, on: platform)
            check(loaded.image.lowerBound <= loaded.image.upperBound, "\(loaded.image)")
            check(loaded.image.upperBound.rawValue <= memorySize, "\(loaded.image)")
        }
    }

    static func programs() throws -> ([UInt8]) throws -> Void {
        let loader = "/lib64/ld-linux-x86-64.so.2"
        let folder = FileManager.default.temporaryDirectory.appending(path: "minivmm-fuzz-\(getpid())").path
        for path in [loader, "/usr/lib/liba.so", "/usr/lib/libb.so", "/bin/sh"] {
            let file = folder + path
            try FileManager.default.createDirectory(
                atPath: String(file.prefix(upTo: file.lastIndex(of: "/") ?? file.endIndex)),
                withIntermediateDirectories: true)
            // Anything but an ELF file is refused as one, after it was found.
            try Data("#!/bin/sh\n".utf8).write(to: URL(filePath: file))
            chmod(file, 0o755)
        }
        atexit { _ = try? FileManager.default.removeItem(atPath: FileTargets.folder) }
        FileTargets.folder = folder
        // Each look-up is system calls, and their number is not what is looked for here.
        var limits = ExecLimits()
        limits.lookupCount = 200
        return { bytes in
            if let header = ScriptHeader(bytes) { _ = header.programOfEnv }
            _ = EnvArguments.split(bytes)
            let sources = HostSources(host: HostFiles(root: folder), limits: limits)
            let search = DependencySearch(
                sources: sources, directory: "/", libraryPath: "", searchPath: .standard)
            let files = try search.files(neededBy: HostFile(path: "/p", bytes: bytes))
            check(files.allSatisfy { $0.path.utf8.first == UInt8(ascii: "/") }, "\(files.map(\.path))")
        }
    }

    /// What is to be removed at the end.
    nonisolated(unsafe) private static var folder = ""

    static func libraryCache() throws -> ([UInt8]) throws -> Void {
        { bytes in
            let cache = LibraryCache(bytes)
            for is64Bit in [true, false] {
                for path in cache.paths(of: "liba.so", is64Bit: is64Bit) {
                    check(path.utf8.first == UInt8(ascii: "/"), path)
                }
            }
        }
    }

    static func records() throws -> ([UInt8]) throws -> Void {
        { bytes in
            // Records with a zero byte between them: one, which is held against itself, or that and the others.
            let records = try bytes.split(separator: 0, maxSplits: 3).map { try RecordedStatistics(json: Array($0)) }
            guard let first = RunGroup(Array(records.prefix(1))),
                let second = RunGroup(records.count > 1 ? Array(records.dropFirst()) : records)
            else { return }
            let text = ComparisonReport(Comparison(first, second, names: (["a\r"], ["b\u{9b}"]))).text
            let bad = text.unicodeScalars.first {
                $0.value < 0x20 && $0 != "\n" || (0x7f...0x9f).contains($0.value)
            }
            check(bad == nil, "a terminal would obey \(String(describing: bad))")
        }
    }
}
