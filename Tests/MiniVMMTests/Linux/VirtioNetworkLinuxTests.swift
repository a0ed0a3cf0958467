@testable import Boot
@testable import Counters
@testable import Devices
import Foundation
@testable import Host
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Linux's own driver on our network device.
final class VirtioNetworkLinuxTests: XCTestCase {
    /// The guest sends 1 MiB to this machine by a TAP interface and gets it back; and moves it between two interfaces of
    /// its own, which are connected by sockets, one of them in another network. Meanwhile its driver goes and comes.
    func testTransfers() throws {
        _ = try LinuxBed.kvm()
        let modules = try GuestModules.network()
        let ends = Locked(try Self.socketPair())
        try TapNetwork.run {
            try TapNetwork.makeInterface(mtu: 1500)
            var boot = LinuxBoot(modules.script + Self.script)
            boot.files = modules.files
            let (one, other) = ends.withLock { $0 }
            boot.components = [
                VirtioNetwork(.tap(try TapInterface(name: TapNetwork.name))),
                VirtioNetwork(.socket(FrameSocket(takingOver: one, mtu: 9000))),
                VirtioNetwork(
                    .socket(FrameSocket(takingOver: other, mtu: 9000)), address: MACAddress("02:00:00:00:00:07")),
            ]
            let listener = try Self.listen()
            let waiting = Locked(listener)
            let echo = try PosixThread(name: "echo") { Self.echo(listener, times: 2, waiting) }
            let run = try boot.run()
            // Where the guest has not come, nobody else will.
            waiting.withLock { _ = shutdown($0, Int32(SHUT_RDWR)) }
            echo.join()
            close(listener)
            XCTAssertEqual(run.ending, "powered_off", run.console)
            XCTAssertEqual(run["failed"], nil)
            XCTAssertEqual(run["address"], "02:00:00:00:00:07", run.console)
            XCTAssertEqual(run["mtu"], "1500,9000", run.console)
            for word in ["tap", "sockets", "tapagain"] { XCTAssertEqual(run[word], "equal", "\(word): \(run.console)") }
            XCTAssertEqual(run["complaints"], "0", run.console)

            let devices = run.outcome.devices
            XCTAssertEqual(devices.map(\.name), ["virtio net 0", "virtio net 1", "virtio net 2"])
            XCTAssertEqual(devices.map(\.isNotifiedByKernel), [true, true, true])
            XCTAssertEqual(devices.map(\.hasFailed), [false, false, false])
            XCTAssertGreaterThan(devices[0].bytesFromGuest, 2 << 20)
            XCTAssertGreaterThan(devices[0].bytesToGuest, 2 << 20)
            XCTAssertGreaterThan(devices[1].bytesToGuest, 1 << 20)
            XCTAssertGreaterThan(devices[2].bytesFromGuest, 1 << 20)
        }
    }

    private static let script = """
        dmesg -c >/dev/null
        dd if=/dev/urandom of=/tmp/data bs=64k count=16 2>/dev/null
        ip link set lo up
        ip addr add 10.9.9.2/24 dev eth0
        ip link set eth0 up
        echo address=$(cat /sys/class/net/eth2/address)
        echo mtu=$(cat /sys/class/net/eth0/mtu),$(cat /sys/class/net/eth1/mtu)
        nc 10.9.9.1 4000 </tmp/data >/tmp/back
        echo tap=$(cmp /tmp/data /tmp/back && echo equal)

        unshare -n sleep 1000 &
        other=$!
        until [ $(readlink /proc/$other/ns/net) != $(readlink /proc/self/ns/net) ]; do :; done
        ip link set eth2 netns $other
        nsenter -t $other -n sh -c 'ip addr add 10.8.8.2/24 dev eth2; ip link set eth2 up; httpd -p 10.8.8.2:80 -h /tmp'
        ip addr add 10.8.8.1/24 dev eth1
        ip link set eth1 up
        wget -q -O /tmp/received http://10.8.8.2/data
        echo sockets=$(cmp /tmp/data /tmp/received && echo equal)

        # Without a driver and with one again, while there is traffic.
        nsenter -t $other -n ping -q 10.8.8.1 >/dev/null &
        for time in 1 2 3 4 5; do
            for device in virtio0 virtio1; do
                echo $device >/sys/bus/virtio/drivers/virtio_net/unbind
                echo $device >/sys/bus/virtio/drivers/virtio_net/bind
            done
            ip addr add 10.8.8.1/24 dev eth1
            ip link set eth1 up
            ip addr add 10.9.9.2/24 dev eth0
            ip link set eth0 up
        done
        nc 10.9.9.1 4000 </tmp/data >/tmp/again
        echo tapagain=$(cmp /tmp/data /tmp/again && echo equal)
        dmesg | grep 'virtio.*\\(fail\\|error\\)\\|WARN\\|BUG' >/tmp/complaints
        cat /tmp/complaints
        echo complaints=$(wc -l </tmp/complaints)
        poweroff -f
        """

    private static func socketPair() throws -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        XCTAssertEqual(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends), 0)
        return (ends[0], ends[1])
    }

    private static func listen() throws -> Int32 {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        XCTAssertEqual(TapNetwork.withAddress(TapNetwork.address) { Int(bind(listener, $0, $1)) }, 0)
        XCTAssertEqual(Glibc.listen(listener, 1), 0)
        return listener
    }

    /// Sends back 1 MiB to whoever has sent it.
    ///
    /// - Parameter waiting: The socket that it waits at.
    private static func echo(_ listener: Int32, times: Int, _ waiting: borrowing Locked<Int32>) {
        for _ in 0..<times {
            let peer = accept(listener, nil, nil)
            guard peer >= 0 else { return }
            waiting.withLock { $0 = peer }
            var (data, part) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
            while data.count < 1 << 20 {
                let count = recv(peer, &part, part.count, 0)
                guard count > 0 else { break }
                data += part[..<count]
            }
            while !data.isEmpty {
                let count = send(peer, data, min(data.count, part.count), Int32(MSG_NOSIGNAL))
                guard count > 0 else { break }
                data.removeFirst(count)
            }
            waiting.withLock { $0 = listener }
            close(peer)
        }
    }
}
