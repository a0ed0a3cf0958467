import Foundation
import XCTest

/// Modules of a kernel for tests' guests, as a distribution has them.
enum GuestModules {
    /// The modules of virtio devices, by their paths in the guest, and the lines of a script that load them.
    ///
    /// - Throws: `XCTSkip` where there are none.
    static func virtio() throws -> (files: [String: [UInt8]], script: String) {
        try load(["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "virtio-rng", "virtio_console"])
    }

    /// The same of virtio network interfaces.
    static func network() throws -> (files: [String: [UInt8]], script: String) {
        try load(["virtio_ring", "virtio", "virtio_mmio", "failover", "net_failover", "virtio_net"])
    }

    private static func load(_ names: [String]) throws -> (files: [String: [UInt8]], script: String) {
        (try files(names), names.map { "insmod /modules/\($0).ko || echo failed=\($0)\n" }.joined())
    }

    /// Modules by their paths in a guest.
    ///
    /// - Throws: `XCTSkip` where there are none.
    static func files(_ names: [String]) throws -> [String: [UInt8]] {
        let all = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        var files: [String: [UInt8]] = [:]
        for name in names {
            guard let path = all.first(where: { $0.hasSuffix("/\(name).ko") }),
                let bytes = FileManager.default.contents(atPath: "\(folder)/\(path)")
            else { throw XCTSkip("there is no uncompressed module \(name) in \(folder)") }
            files["modules/\(name).ko"] = [UInt8](bytes)
        }
        return files
    }

    private static let folder = "/lib/modules"
}
