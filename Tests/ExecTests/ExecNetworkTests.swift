@testable import Boot
import Foundation
@testable import TestSupport
import XCTest

/// The network of a program's guest, whose kernel has the driver as a module.
final class ExecNetworkTests: ExecTestCase {
    func testProgramsHaveANetwork() throws {
        _ = try GuestModules.network()
        let folder = try makeFolder()
        // Answers once, and then is silent: the guest's own settings are what matters here.
        _ = try program("passt", Array("#!/bin/sh\necho >&3\ncat <&3 >/dev/null\n".utf8), in: folder)
        let busybox = try program("busybox", LinuxBed.busybox(), in: folder)
        let script = """
            "$0" ip address show dev eth0 | "$0" grep -o 'mtu 65520\\|inet .*/24\\|ether ..:..:..:..:..:..'
            "$0" ip route | "$0" grep -o 'default.*eth0'
            "$0" cat /etc/resolv.conf
            """
        let command = [
            "/usr/bin/env", "PATH=\(folder.path):/usr/bin:/bin", try MiniVMMExecutable.path(), "exec", "--kernel",
            try LinuxBed.kernel().path, "--stats", "none", "--net", "user,mac=02:00:00:00:00:07", "--", busybox, "sh",
            "-c", script, busybox,
        ]
        let run = try CommandLineRun(command: command)
        run.assertStatus(0)
        XCTAssertEqual(
            run.outputText,
            """
            mtu 65520
            ether 02:00:00:00:00:07
            inet 10.0.2.15/24
            default via 10.0.2.2 dev eth0
            nameserver 10.0.2.3

            """)
    }
}
