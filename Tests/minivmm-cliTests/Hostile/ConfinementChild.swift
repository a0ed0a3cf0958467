@testable import CKVM
import Foundation
import Glibc
@testable import TestSupport
import XCTest

/// What a process does that ``ConfinementTests`` starts: this test bundle, run anew for one test.
enum ConfinementRole: String, CaseIterable {
    /// What a run does all the time.
    case writes
    /// Makes a thread, as nothing does once a run has begun.
    case makesThread
    case opens
    case makesSocket
    case executes
    case forks
    case mapsCode
    case makesCode
    case signalsOthers
    /// An ioctl that is on no list.
    case asksOther
    /// Renames a file, which was not permitted.
    case renames
    /// Executes on a vCPU's thread what only other threads may.
    case vcpuWaitsForSignals
    case vcpuMakesMachine

    static let variable = "MINIVMM_TEST_CONFINEMENT_ROLE"
    static let status: Int32 = 9

    static var ofThisProcess: ConfinementRole? {
        ProcessInfo.processInfo.environment[variable].flatMap(ConfinementRole.init(rawValue:))
    }

    /// Starts a process, and waits until it ends.
    func run() throws -> ProcessEnd {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let environment = [Self.variable: rawValue, "SWIFT_BACKTRACE": "enable=no"]
        var spawn = try SpawnRequest([program, "minivmm_cliTests.ConfinementChild/testRole"], environment: environment)
        try spawn.open("/dev/null", as: STDOUT_FILENO, flags: O_WRONLY)
        return try XCTUnwrap(ChildProcess(&spawn, limit: 20).waitForEnd())
    }
}

/// Not a test, but what such a process does.
final class ConfinementChild: XCTestCase {
    func testRole() throws {
        guard let role = ConfinementRole.ofThisProcess else { return }
        var noCore = rlimit()
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &noCore)
        XCTAssertEqual(ckvm_give_up_new_privileges(), 0)
        let permissions = role == .vcpuMakesMachine ? UInt32(CKVM_MAY_TEST_KVM) : 0
        XCTAssertEqual(ckvm_install_filter(CKVM_FILTER_PROCESS, permissions), 0)
        act(role)
        _exit(ConfinementRole.status)
    }

    private func act(_ role: ConfinementRole) {
        switch role {
        case .writes: write(STDOUT_FILENO, "x", 1)
        case .makesThread: Thread.detachNewThread {}
        case .opens: _ = open("/etc/passwd", O_RDONLY)
        case .makesSocket: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        case .executes: execv("/bin/true", [nil])
        case .forks: posix_spawn(nil, "/bin/true", nil, nil, [nil], [nil])
        case .mapsCode: mmap(nil, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        case .makesCode:
            let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            mprotect(page, 4096, PROT_READ | PROT_EXEC)
        case .signalsOthers: kill(getppid(), 0)
        case .asksOther: _ = ioctl(0, 0x5412, 0)  // TIOCSTI, which types into a terminal
        case .renames: renameat(AT_FDCWD, "/none", AT_FDCWD, "/none")
        case .vcpuWaitsForSignals:
            ckvm_install_filter(CKVM_FILTER_VCPU, 0)
            var action = sigaction()
            sigaction(SIGUSR2, nil, &action)
        case .vcpuMakesMachine:
            ckvm_install_filter(CKVM_FILTER_VCPU, 0)
            _ = ioctl(0, 0xae01, 0)  // KVM_CREATE_VM
        }
    }
}
