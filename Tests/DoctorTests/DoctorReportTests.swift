@testable import Bench
@testable import Doctor
@testable import Host
@testable import KVM
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// The doctor's words for hosts that are not at hand.
final class DoctorReportTests: XCTestCase {
    private static let allCapabilities = """
        capabilities
          KVM_CAP_USER_MEMORY                yes   guest memory
          KVM_CAP_EXT_CPUID                  yes   the guest's CPUID table
          KVM_CAP_IMMEDIATE_EXIT             yes   kicks, timeouts
          KVM_CAP_SET_TSS_ADDR               yes   real mode on Intel
          KVM_CAP_SET_IDENTITY_MAP_ADDR      yes   real mode on Intel
          KVM_CAP_SET_GUEST_DEBUG            yes   the debug and step traps
          KVM_CAP_IRQCHIP                    yes   interrupts
          KVM_CAP_PIT2                       yes   the timer of Linux guests
          KVM_CAP_TSC_DEADLINE_TIMER         yes   fewer exits of Linux guests
          KVM_CAP_SYNC_REGS                  yes   registers without an ioctl
          KVM_CAP_X86_USER_SPACE_MSR         yes   RDMSR and WRMSR exits
          KVM_CAP_X86_MSR_FILTER             yes   the fault trap
          KVM_CAP_BINARY_STATS_FD            yes   the kernel's own exit counts
          KVM_CAP_GET_TSC_KHZ                yes   cycles as time
          KVM_CAP_EXIT_ON_EMULATION_FAILURE  yes   death reports
          KVM_CAP_IOEVENTFD                  yes   notifications of virtio devices
          KVM_CAP_IRQFD                      yes   interrupts of virtio devices
          KVM_CAP_MAX_VCPUS                  1024  vCPUs of a guest
        """

    func testHostWithEverything() {
        XCTAssertEqual(
            DoctorReport(.example()).text,
            """
            device     /dev/kvm, opens, API version 12
            modules    kvm, kvm_intel
            kernel     6.1.0-example
            processor  Example CPU @ 2.00GHz
            TSC        2000.000 MHz, invariant

            \(Self.allCapabilities)

            CPUID traps for guests in ring 0
              debug  works
              patch  works
              step   works
              auto   debug up to four sites, else patch

            CPUID trap for programs in ring 3, under Linux
              fault  works

            GDB, for code in ring 0
              break           INT3, debug registers, OUT, single steps
              hbreak          debug registers, single steps
              watch           debug registers, single steps
              rwatch, awatch  debug registers

            every exit by reason, by KVM's tracepoints
              raw      works
              classic  works

            MiniVMM runs guests here.
            Linux guests boot here.
            Every exit is counted by reason here, also those that KVM settles.

            """)
    }

    func testHostWithoutKVM() {
        let diagnosis = HostDiagnosis.example(
            modules: [], processor: nil, hasInvariantTSC: false, failure: .deviceNotFound(path: "/dev/kvm"))
        XCTAssertFalse(diagnosis.isUsable)
        XCTAssertEqual(
            DoctorReport(diagnosis).text,
            """
            device     /dev/kvm, not usable
            modules    none
            kernel     6.1.0-example
            processor  unknown
            TSC        frequency unknown, not invariant

            /dev/kvm does not exist (ENOENT).
            Load the module with `modprobe kvm-intel` or `modprobe kvm-amd`, and switch
            virtualization on in the firmware or, inside a virtual machine, nested
            virtualization on its host.

            """)
    }

    func testHostThatLacksWhatIsNeeded() {
        let text = DoctorReport(.example(missing: [.immediateExit, .pit2])).text
        XCTAssertTrue(text.contains("\n  KVM_CAP_IMMEDIATE_EXIT             no    kicks, timeouts\n"), text)
        XCTAssertTrue(text.contains("\n  KVM_CAP_PIT2                       no    the timer of Linux guests\n"), text)
        XCTAssertTrue(
            text.hasSuffix(
                """

                This KVM lacks KVM_CAP_IMMEDIATE_EXIT.
                Run a newer kernel; `minivmm doctor` lists what MiniVMM uses.

                """), text)
    }

    func testHostWhereTheSelfTestCannotRun() {
        let error = KVMError.outOfResources(name: "KVM_CREATE_VM", .outOfMemory)
        let diagnosis = HostDiagnosis.example(traps: .failure(error))
        XCTAssertFalse(diagnosis.isUsable)
        let text = DoctorReport(diagnosis).text
        let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        XCTAssertTrue(words.contains("ring 0 could not be tried: \(error.explanation) CPUID trap for"), text)
        XCTAssertTrue(words.hasSuffix(" \(error.explanation) \(error.remedy)"), text)
        for line in text.split(separator: "\n") { XCTAssertLessThanOrEqual(line.count, 80, "\(line)") }
    }

    func testWhatADebuggerCannotUse() {
        let none = DebugSupport(breakpoints: false, watchpoints: false, steps: false)
        let text = DoctorReport(.example(debugger: none)).text
        for name in ["break         ", "hbreak        ", "watch         ", "rwatch, awatch"] {
            XCTAssertTrue(text.contains("\n  \(name)  not to be had\n"), text)
        }
        let steps = DebugSupport(breakpoints: false, watchpoints: false, patches: true, steps: true)
        let some = DoctorReport(.example(debugger: steps)).text
        XCTAssertTrue(some.contains("\n  break           OUT, single steps\n  hbreak          single steps\n"), some)
        XCTAssertTrue(
            DoctorReport(.example(debugger: nil)).text.contains("GDB, for code in ring 0\n  could not be tried\n"))
    }

    private func counting(_ raw: TracepointError?, _ classic: TracepointError?) -> String {
        let text = DoctorReport(.example(exitCounting: ExitCounting(raw: raw, classic: classic))).text
        return text.components(separatedBy: "Linux guests boot here.\n").last ?? ""
    }

    func testWhatMendsTheCountingOfEveryExit() {
        let rights = TracepointError.notPermitted(
            call: "BPF_MAP_CREATE", .notPermitted, .capabilities([.bpf, .performanceMonitoring]))
        let noMount = TracepointError.noTraceFileSystem(.notPermitted)
        let silence = TracepointError.doesNotCount(expected: 100, seen: 0)
        let none = "Exits that KVM settles cannot be counted by reason here.\n"
        XCTAssertEqual(
            counting(rights, noMount),
            none + """
                Run `sudo setcap cap_bpf,cap_perfmon+ep "$(command -v minivmm)"` once, or run as
                root; `--exits user` needs nothing.

                """)
        let useOther = none + "Use `--exits user`, or `--exits total` for KVM's own number.\n"
        XCTAssertEqual(counting(silence, silence), useOther)
        XCTAssertEqual(counting(silence, noMount), useOther)
        XCTAssertEqual(
            counting(.noTypes, noMount),
            none + "Run as root, or a kernel that was built with CONFIG_DEBUG_INFO_BTF.\n")
        let works = "Every exit is counted by reason here, also those that KVM settles.\n"
        XCTAssertEqual(counting(.noTypes, nil), works)
        XCTAssertEqual(counting(nil, noMount), works)
    }

    func testObstaclesStandBesideTheMethods() {
        let text = DoctorReport(.example(exitCounting: ExitCounting(raw: TracepointError.noTypes, classic: nil))).text
        XCTAssertTrue(
            text.contains(
                """

                every exit by reason, by KVM's tracepoints
                  raw      does not work
                           This kernel does not describe its types (/sys/kernel/btf).
                  classic  works

                """), text)
    }

    func testHints() {
        let diagnosis = HostDiagnosis.example(
            modules: ["kvm", "kvm_pvm"], hasInvariantTSC: false, missing: [.pit2, .msrFilter],
            traps: .success(CPUIDTrapSupport(debug: false, patch: true, step: false)),
            linux: .emulatesRingZero, tscKHz: nil)
        XCTAssertTrue(diagnosis.isUsable)
        let text = DoctorReport(diagnosis).text
        XCTAssertTrue(
            text.contains("\n  debug  does not work\n  patch  works\n  step   does not work\n  auto   patch\n"), text)
        XCTAssertTrue(
            text.hasSuffix(
                """
                MiniVMM runs guests here.
                Linux guests cannot boot here, because this KVM emulates ring 0 instead of
                letting the processor run it, and its emulator lacks instructions that Linux
                needs, such as CMPXCHG16B.
                Use a host with kvm_intel or kvm_amd; flat guests run here as well, and --force
                tries Linux all the same.
                Every exit is counted by reason here, also those that KVM settles.
                A newer kernel has KVM_CAP_PIT2, KVM_CAP_X86_MSR_FILTER.
                Debug registers do not stop guests here; patched sites take their place.
                The time-stamp counter is not invariant: read cycles as cycles, not as time.

                """), text)
        XCTAssertTrue(text.contains("\nTSC        frequency unknown, not invariant\n"), text)
    }
}
