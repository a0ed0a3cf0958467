@testable import CKVM
import XCTest

/// The filters of system calls, as programs: what becomes of every call there is, and how far the kernel has to go to
/// find it out.
final class FilterProgramTests: XCTestCase {
    /// A filter, and what the kernel would do with it.
    private struct Filter {
        let code: [sock_filter]

        // Source: Linux, include/uapi/linux/audit.h, seccomp.h.
        static let architecture: UInt32 = 0xc000_003e
        static let allow: UInt32 = 0x7fff_0000
        static let killProcess: UInt32 = 0x8000_0000

        init(_ filter: ckvm_filter, _ permissions: UInt32 = 0) {
            var code = [sock_filter](repeating: sock_filter(), count: Int(CKVM_FILTER_CAPACITY))
            let count = Int(ckvm_make_filter(filter, permissions, &code))
            self.code = Array(code.prefix(max(0, count)))
        }

        /// Runs it: the answer, and the number of instructions up to it. `struct seccomp_data` has the number at offset
        /// 0, the architecture at 4, and the low halves of the arguments at 16, 24, 32.
        func answer(
            _ call: UInt32, _ arguments: [UInt32] = [0, 0, 0], on architecture: UInt32 = Filter.architecture
        ) -> (UInt32, steps: Int)? {
            let data: [UInt32: UInt32] = [
                0: call, 4: architecture, 16: arguments[0], 24: arguments[1], 32: arguments[2],
            ]
            var (accumulator, place): (UInt32, Int) = (0, 0)
            for steps in 1...code.count {
                guard code.indices.contains(place) else { return nil }
                let instruction = code[place]
                place += 1
                let isTrue: Bool
                // Source: Linux, include/uapi/linux/bpf_common.h.
                switch instruction.code {
                case 0x20:  // BPF_LD | BPF_W | BPF_ABS
                    guard let value = data[instruction.k] else { return nil }
                    accumulator = value
                    continue
                case 0x06: return (instruction.k, steps)  // BPF_RET | BPF_K
                case 0x15: isTrue = accumulator == instruction.k  // BPF_JMP | BPF_JEQ
                case 0x25: isTrue = accumulator > instruction.k  // BPF_JMP | BPF_JGT
                case 0x35: isTrue = accumulator >= instruction.k  // BPF_JMP | BPF_JGE
                case 0x45: isTrue = accumulator & instruction.k != 0  // BPF_JMP | BPF_JSET
                default: return nil
                }
                place += Int(isTrue ? instruction.jt : instruction.jf)
            }
            return nil
        }

        func allows(_ call: UInt32, _ arguments: [UInt32] = [0, 0, 0]) -> Bool {
            answer(call, arguments)?.0 == Self.allow
        }

        /// The calls that are allowed whatever their arguments are, those that are by them included, if zeros will do.
        var calls: [UInt32] { (0..<1024).filter { allows($0) } }
    }

    // read, write, close, mmap, mprotect, munmap, brk, rt_sigprocmask, rt_sigreturn, pread64, sched_yield, mremap,
    // madvise, getpid, exit, gettid, futex, sched_setaffinity, sched_getaffinity, restart_syscall, clock_gettime,
    // clock_nanosleep, exit_group, tgkill, ppoll, set_robust_list, timerfd_settime, getrandom, rseq
    private static let common: Set<UInt32> = [
        0, 1, 3, 9, 10, 11, 12, 14, 15, 17, 24, 25, 28, 39, 60, 186, 202, 203, 204, 219, 228, 230, 231, 234, 271, 273,
        286, 318, 334,
    ]
    // fstat, poll, lseek, rt_sigaction, readv, writev, pause, uname, gettimeofday, getrusage, sysinfo, getpgrp,
    // rt_sigtimedwait, sigaltstack, time, newfstatat
    private static let process: Set<UInt32> = [5, 7, 8, 13, 19, 20, 34, 63, 96, 98, 99, 111, 128, 131, 201, 262]

    func testEveryCall() {
        XCTAssertEqual(Set(Filter(CKVM_FILTER_VCPU).calls), Self.common)
        let all = Self.common.union(Self.process)
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS).calls), all)
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_TEST_KVM).calls), all)
        // unlinkat, renameat, linkat
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_RENAME).calls), all.union([263, 264, 265]))
        // sendto, setsockopt, accept4
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_DEBUG).calls), all.union([44, 54, 288]))
        // fdatasync, fallocate, preadv, pwritev
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_USE_DISKS).calls), all.union([75, 285, 295, 296]))
        // sendmsg
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_USE_NETWORK).calls), all.union([46]))
        // getdents64, statx, openat2, readlinkat, fstatfs, preadv, fsync, fdatasync
        let reading: Set<UInt32> = [217, 332, 437, 267, 138, 295, 74, 75]
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_SHARE).calls), all.union(reading))
        // ftruncate, mkdirat, mknodat, fchownat, unlinkat, renameat2, linkat, symlinkat, fchmodat, utimensat, fallocate,
        // pwritev, syncfs, dup, umask
        let changing: Set<UInt32> = [77, 258, 259, 260, 263, 316, 265, 266, 268, 280, 285, 296, 306, 32, 95]
        let shares = CKVM_MAY_SHARE | CKVM_MAY_CHANGE_SHARES
        XCTAssertEqual(
            Set(Filter(CKVM_FILTER_PROCESS, UInt32(shares)).calls), all.union(reading).union(changing))
        XCTAssertEqual(Set(Filter(CKVM_FILTER_VCPU, UInt32(shares)).calls), Self.common)
        // sendto, accept4
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_SERVE).calls), all.union([44, 288]))
        // openat is let through by its flags alone.
        XCTAssertEqual(Set(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_CREATE).calls), all)
        // Numbers of the x32 interface, and calls of 32-bit programs.
        for filter in [Filter(CKVM_FILTER_PROCESS), Filter(CKVM_FILTER_VCPU)] {
            XCTAssertEqual(filter.answer(0x4000_0000)?.0, Filter.killProcess)
            XCTAssertEqual(filter.answer(1, on: 0x4000_0003)?.0, Filter.killProcess)
        }
    }

    func testCallsByTheirArguments() {
        for filter in [Filter(CKVM_FILTER_PROCESS), Filter(CKVM_FILTER_VCPU)] {
            for call: UInt32 in [9, 10] {
                XCTAssertTrue(filter.allows(call, [0, 0, 3]), "readable and writable")
                XCTAssertFalse(filter.allows(call, [0, 0, 5]), "executable")
            }
            XCTAssertTrue(filter.allows(16, [0, 0xae80, 0]), "KVM_RUN")
            XCTAssertFalse(filter.allows(16, [0, 0x5412, 0]), "TIOCSTI")
        }
        // bpf: BPF_MAP_LOOKUP_ELEM, BPF_PROG_LOAD; prctl: PR_SET_NAME, PR_SET_DUMPABLE; seccomp: a filter, strict mode
        let arguments: [(UInt32, UInt32, Bool)] = [
            (321, 1, true), (321, 5, false), (157, 15, true), (157, 4, false), (317, 1, true), (317, 0, false),
        ]
        for (call, argument, isAllowed) in arguments {
            XCTAssertEqual(Filter(CKVM_FILTER_PROCESS).allows(call, [argument, 0, 0]), isAllowed, "\(call)")
            XCTAssertFalse(Filter(CKVM_FILTER_VCPU).allows(call, [argument, 0, 0]), "\(call)")
        }
        // unshare: CLONE_FS, CLONE_NEWUSER
        let changing = Filter(CKVM_FILTER_PROCESS, UInt32(CKVM_MAY_CHANGE_SHARES))
        XCTAssertTrue(changing.allows(272, [0x200, 0, 0]))
        XCTAssertFalse(changing.allows(272, [0x1000_0000, 0, 0]))
        XCTAssertFalse(Filter(CKVM_FILTER_PROCESS, UInt32(CKVM_MAY_SHARE)).allows(272, [0x200, 0, 0]))
        // openat: O_TMPFILE | O_WRONLY | O_CLOEXEC; O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC; O_RDONLY; O_WRONLY;
        // O_WRONLY | O_CREAT | O_CLOEXEC; O_TMPFILE | O_RDWR | O_CLOEXEC
        let flags: [(UInt32, Bool)] = [
            (0o22_200_001, true), (0o2_400_301, true), (0, false), (1, false), (0o2_000_101, false),
            (0o22_200_002, false),
        ]
        for (flags, isAllowed) in flags {
            XCTAssertEqual(Filter(CKVM_FILTER_PROCESS, CKVM_MAY_CREATE).allows(257, [0, 0, flags]), isAllowed)
            XCTAssertFalse(Filter(CKVM_FILTER_PROCESS).allows(257, [0, 0, flags]))
        }
        // KVM_CREATE_VM; KVM_GET_FPU; TUNSETOFFLOAD
        let requests: [(UInt32, UInt32)] = [
            (0xae01, CKVM_MAY_TEST_KVM), (0x81a0_ae8c, CKVM_MAY_DEBUG), (0x4004_54d0, CKVM_MAY_USE_NETWORK),
        ]
        for (request, permission) in requests {
            XCTAssertTrue(Filter(CKVM_FILTER_PROCESS, permission).allows(16, [0, request, 0]))
            XCTAssertFalse(Filter(CKVM_FILTER_PROCESS).allows(16, [0, request, 0]))
        }
    }

    /// When a filter is installed, the kernel compiles it, and goes through it for every call there is.
    func testHowFarTheKernelHasToGo() {
        let all = Filter(
            CKVM_FILTER_PROCESS,
            CKVM_MAY_RENAME | CKVM_MAY_TEST_KVM | CKVM_MAY_DEBUG | CKVM_MAY_USE_DISKS | CKVM_MAY_USE_NETWORK
                | CKVM_MAY_SHARE | CKVM_MAY_CHANGE_SHARES | CKVM_MAY_SERVE | CKVM_MAY_CREATE)
        XCTAssertEqual(all.code.count, 159)
        XCTAssertEqual(Filter(CKVM_FILTER_VCPU).code.count, 66)
        for filter in [all, Filter(CKVM_FILTER_VCPU)] {
            XCTAssertEqual(filter.answer(16, [0, 0xae80, 0])?.steps, 7, "KVM_RUN")
            for call: UInt32 in 0..<512 where call != 16 {
                XCTAssertLessThanOrEqual(filter.answer(call)?.steps ?? .max, 19, "\(call)")
            }
        }
    }
}
