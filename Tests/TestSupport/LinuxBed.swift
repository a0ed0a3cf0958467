@testable import Boot
import Foundation
@testable import KVM
@testable import MiniVMM
import XCTest

/// What tests of Linux guests need: a KVM that boots Linux, a kernel, and a busybox that needs no libraries.
enum LinuxBed {
    /// The KVM.
    ///
    /// - Throws: `XCTSkip` where Linux guests cannot boot.
    static func kvm() throws -> KVM {
        let kvm = try TestKVM.shared()
        if let obstacle = try kvm.linuxSupport().obstacle {
            throw XCTSkip("Linux guests cannot boot on this bed, because \(obstacle)")
        }
        return kvm
    }

    /// A bzImage: the file that MINIVMM_TEST_KERNEL names, else /boot/vmlinuz, else the newest of /boot that can be
    /// read.
    static func kernel() throws -> ImageFile {
        if let path = variable("MINIVMM_TEST_KERNEL") { return try ImageFile(reading: path) }
        let installed = (try? FileManager.default.contentsOfDirectory(atPath: "/boot")) ?? []
        let versions = installed.filter { $0.hasPrefix("vmlinuz-") }
            .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
        for name in ["vmlinuz"] + versions {
            if let file = try? ImageFile(reading: "/boot/" + name) { return file }
        }
        throw XCTSkip("there is no readable kernel in /boot; MINIVMM_TEST_KERNEL can name one")
    }

    /// A busybox: the file that MINIVMM_TEST_BUSYBOX names, else /bin/busybox.
    static func busybox() throws -> [UInt8] {
        if let path = variable("MINIVMM_TEST_BUSYBOX") { return try ImageFile(reading: path).bytes }
        guard let file = try? ImageFile(reading: "/bin/busybox") else {
            throw XCTSkip("there is no /bin/busybox; MINIVMM_TEST_BUSYBOX can name one")
        }
        guard !file.bytes.contains(needle: Array("/ld-linux".utf8)) else {
            throw XCTSkip("/bin/busybox needs shared libraries; MINIVMM_TEST_BUSYBOX can name one that does not")
        }
        return file.bytes
    }

    private static func variable(_ name: String) -> String? {
        let value = ProcessInfo.processInfo.environment[name]
        return value == "" ? nil : value
    }
}

extension [UInt8] {
    /// Whether other bytes stand in the first page, where a program names its interpreter.
    fileprivate func contains(needle: [UInt8]) -> Bool {
        let page = prefix(4096)
        return page.indices.contains { page[$0...].starts(with: needle) }
    }
}
