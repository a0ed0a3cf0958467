import Foundation
@testable import Host
import XCTest

/// A network that is a thread's own, with nothing in it but a TAP interface: 10.9.9.1/24.
enum TapNetwork {
    /// The interface's name.
    static let name = "minivmm0"
    /// The host's address there.
    static let address: [UInt8] = [10, 9, 9, 1]

    /// Does something in such a network, which has no interface yet.
    ///
    /// - Throws: What the body throws; `XCTSkip` where there cannot be one.
    static func run(_ body: @escaping @Sendable () throws -> Void) throws {
        let result = Locked<Result<Void, any Error>?>(nil)
        let thread = try PosixThread(name: "network", stackSize: 8 << 20) {
            let outcome = Result {
                try leave()
                try body()
            }
            result.withLock { $0 = outcome }
        }
        thread.join()
        try result.withLock { $0 }?.get()
    }

    private static func leave() throws {
        typealias Unshare = @convention(c) (Int32) -> Int32
        let symbol = try XCTUnwrap(dlsym(nil, "unshare"))
        // CLONE_NEWNET. Source: Linux, include/uapi/linux/sched.h.
        guard unsafeBitCast(symbol, to: Unshare.self)(0x4000_0000) == 0
        else { throw XCTSkip("this process may not have a network of its own (\(ErrorNumber(rawValue: errno).name))") }
    }

    /// A call about the interface. Source: Linux, include/uapi/linux/if_tun.h, include/uapi/linux/sockios.h.
    private static func call(_ descriptor: Int32, _ request: UInt, _ value: [UInt8]) -> Int32 {
        var argument = Array(name.utf8) + [UInt8](repeating: 0, count: 16 - name.utf8.count) + value
        argument += [UInt8](repeating: 0, count: 40 - argument.count)
        return ioctl(descriptor, request, &argument) < 0 ? errno : 0
    }

    /// Makes the interface, one that stays as long as the network.
    ///
    /// - Throws: `XCTSkip` where there are none.
    static func makeInterface(mtu: UInt16) throws {
        let tunnels = open("/dev/net/tun", O_RDWR)
        guard tunnels >= 0 else {
            throw XCTSkip("/dev/net/tun cannot be opened (\(ErrorNumber(rawValue: errno).name))")
        }
        defer { close(tunnels) }
        // TUNSETIFF: IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
        let error = call(tunnels, 0x4004_54ca, [0x02, 0x50])
        guard error == 0 else {
            throw XCTSkip("there is no TAP interface to be had (\(ErrorNumber(rawValue: error).name))")
        }
        // TUNSETPERSIST
        XCTAssertEqual(ioctl(tunnels, 0x4004_54cb, 1), 0)
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        // SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU, SIOCSIFFLAGS with IFF_UP
        XCTAssertEqual(call(socket, 0x8916, [2, 0, 0, 0] + address), 0)
        XCTAssertEqual(call(socket, 0x891c, [2, 0, 0, 0, 255, 255, 255, 0]), 0)
        XCTAssertEqual(call(socket, 0x8922, [UInt8(mtu & 0xff), UInt8(mtu >> 8)]), 0)
        XCTAssertEqual(call(socket, 0x8914, [1]), 0)
    }

    /// Lends an address of the network, at port 4000, to a call. Source: ip(7), sockaddr_in.
    static func withAddress(_ bytes: [UInt8], _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int) -> Int {
        let address: [UInt8] = [2, 0, 0x0f, 0xa0] + bytes + [0, 0, 0, 0, 0, 0, 0, 0]
        return address.withUnsafeBytes { bytes in
            bytes.bindMemory(to: sockaddr.self).baseAddress.map { body($0, socklen_t(bytes.count)) } ?? -1
        }
    }
}
