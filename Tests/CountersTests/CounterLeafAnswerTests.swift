@testable import Counters
@testable import KVM
@testable import TestSupport
import Tracepoints
import XCTest

/// The encodings of the counter leaves, from numbers that are given.
final class CounterLeafAnswerTests: XCTestCase {
    /// Exits and cycles that take more than 32 bits; one type that occurs in each numbering.
    private final class Source: CounterSource {
        let totalExits: UInt64 = 0x1_2345_6789
        let totalCycles: UInt64 = 0xaabb_ccdd_1122_3344

        func exits(of type: ExitType) -> UInt64 {
            switch type {
            case .sdm(.cpuid): 0x7_0000_0007
            case .svm(.cpuid): 0x5_0000_0006
            default: 0
            }
        }

        func cycles(of type: ExitType) -> UInt64 {
            switch type {
            case .sdm(.cpuid): 0x9_0000_0008
            case .svm(.cpuid): 0x3_0000_0004
            default: 0
            }
        }

        func canOccur(_ type: ExitType) -> Bool { type == .sdm(.cpuid) || type == .svm(.cpuid) }
    }

    private let undefined = CPUIDResult(edx: 0xffff_ffff)

    private func answer(
        _ leaves: CounterLeaves, _ leaf: UInt32, _ number: UInt32, _ numbering: ExitNumbering = .sdm
    ) -> CPUIDResult? {
        leaves.answer(leaf: leaf, number: number, numbering: numbering, source: Source())
    }

    func testTotals() {
        let exits = CPUIDResult(eax: 0x2345_6789)
        func cycles(_ eax: UInt32) -> CPUIDResult { CPUIDResult(eax: eax, ebx: 0xaabb_ccdd, ecx: 0x1122_3344) }
        for numbering in ExitNumbering.allCases {
            for number: UInt32 in [0, 10, 0x72, 1000, .max] {
                XCTAssertEqual(answer(.f22, 0x4fff_fffc, number, numbering), exits)
                XCTAssertEqual(answer(.f22, 0x4fff_fffd, number, numbering), cycles(0x4fff_fffd))
                XCTAssertEqual(answer(.f21, 0x4fff_ffff, number, numbering), exits)
                XCTAssertEqual(answer(.f21, 0x4fff_fffe, number, numbering), cycles(0x4fff_fffe))
                XCTAssertEqual(answer(.s21, 0x4fff_ffff, number, numbering), cycles(0x2345_6789))
                XCTAssertEqual(answer(.s21, 0x4fff_fffc, number, numbering), CPUIDResult())
                XCTAssertEqual(answer(.s21, 0x4fff_fffd, number, numbering), CPUIDResult())
            }
        }
    }

    func testCountOfAType() {
        let leaf: [(CounterLeaves, UInt32)] = [(.f22, 0x4fff_fffe), (.f21, 0x4fff_fffd), (.s21, 0x4fff_fffe)]
        for (leaves, leaf) in leaf {
            XCTAssertEqual(answer(leaves, leaf, 10), CPUIDResult(eax: 7, ecx: 10))
            XCTAssertEqual(answer(leaves, leaf, 12), CPUIDResult(), "defined, and cannot occur")
            for number: UInt32 in [35, 38, 42, 71, 82, 83, 86, 0x72, .max] {
                XCTAssertEqual(answer(leaves, leaf, number), undefined)
            }
            XCTAssertEqual(answer(leaves, leaf, 0x72, .svm), CPUIDResult(eax: 6, ecx: 0x72))
            for number: UInt32 in [10, 35, 0xa6, 0x400, 0x403] {
                XCTAssertEqual(answer(leaves, leaf, number, .svm), CPUIDResult())
            }
            for number: UInt32 in [0xa7, 0xff, 0x3ff, 0x404, 0xf000_0000, .max] {
                XCTAssertEqual(answer(leaves, leaf, number, .svm), undefined)
            }
        }
    }

    func testCyclesOfAType() {
        for (leaves, leaf) in [(CounterLeaves.f22, UInt32(0x4fff_ffff)), (.f21, 0x4fff_fffc)] {
            XCTAssertEqual(answer(leaves, leaf, 10), CPUIDResult(eax: leaf, ebx: 9, ecx: 8))
            XCTAssertEqual(answer(leaves, leaf, 12), CPUIDResult())
            XCTAssertEqual(answer(leaves, leaf, 35), undefined)
            XCTAssertEqual(answer(leaves, leaf, 0x72, .svm), CPUIDResult(eax: leaf, ebx: 3, ecx: 4))
            XCTAssertEqual(answer(leaves, leaf, 10, .svm), CPUIDResult())
            XCTAssertEqual(answer(leaves, leaf, 0xa7, .svm), undefined)
        }
    }

    func testOtherLeavesAreNobodys() {
        for leaves in CounterLeaves.allCases {
            for leaf: UInt32 in [0, 0x4fff_fffb, 0x5000_0000, .max] { XCTAssertNil(answer(leaves, leaf, 10)) }
        }
    }
}

/// AMD's exit codes, and what is booked under them.
final class SVMExitCodeTests: XCTestCase {
    func testDefinedCodes() {
        let defined = (UInt32(0)...0x500).filter { SVMExitCode(rawValue: $0) != nil }
        XCTAssertEqual(defined, Array(0...0xa6) + Array(0x400...0x403))
    }

    func testEveryKindsCodeIsOneOfItsReasons() {
        let reasons = HardwareExits.reasons(of: .svm)
        let codes = HardwareExits.svmExitCodes(of: .svm)
        var differing: [ExitKind] = []
        for kind in ExitKind.allCases {
            guard let code = kind.svmExitCode else { continue }
            let possible = codes.indices.filter { codes[$0] == code }.map { reasons[$0] }
            XCTAssertFalse(possible.isEmpty, kind.name)
            if !possible.contains(kind.basicExitReason) { differing.append(kind) }
        }
        // The end of an interrupt is an unaccelerated APIC access, which the SDM's numbers have under APIC access.
        XCTAssertEqual(differing, [.setTPR, .ioapicEOI])
        XCTAssertEqual(
            ExitKind.allCases.filter { $0.svmExitCode == nil },
            [.exception, .failEntry, .internalError, .systemEvent, .dirtyRingFull, .notify, .tdx, .unknown])
    }

    func testCodesOfSourceUserAddUp() {
        let counters = ExitCounterTable.inMemory(vcpuCount: 2)
        for (index, kind) in ExitKind.allCases.enumerated() {
            for _ in 0...index {
                counters.counters(of: index % 2).begin(kind)
                counters.counters(of: index % 2).finish(kind, serviceCycles: UInt64(index) + 100)
            }
        }
        func exits(_ number: UInt32) -> UInt64 { SVMExitCode(rawValue: number).map { counters.exits(of: $0) } ?? 0 }
        func count(_ kinds: ExitKind...) -> UInt64 { kinds.reduce(0) { $0 + UInt64($1.rawValue) + 1 } }
        XCTAssertEqual(exits(0x72), count(.cpuid))
        XCTAssertEqual(exits(0x78), count(.hlt))
        XCTAssertEqual(exits(0x7b), count(.portIn, .portOut))
        XCTAssertEqual(exits(0x7c), count(.rdmsr, .wrmsr))
        XCTAssertEqual(exits(0x400), count(.mmioRead, .mmioWrite, .memoryFault))
        XCTAssertEqual(exits(0x18), count(.setTPR))
        let all = (UInt32(0)...0x403).compactMap(SVMExitCode.init(rawValue:))
        let rest = ExitKind.allCases.filter { $0.svmExitCode == nil }
        let sum = all.reduce(0) { $0 + counters.exits(of: $1) } + rest.reduce(0) { $0 + count($1) }
        XCTAssertEqual(sum, counters.totalExits)
        let restCycles = rest.reduce(UInt64(0)) { $0 + count($1) * (UInt64($1.rawValue) + 100) }
        XCTAssertEqual(all.reduce(0) { $0 + counters.cycles(of: .svm($1)) } + restCycles, counters.totalCycles)
        XCTAssertEqual(
            all.filter { counters.canOccur(.svm($0)) }.map(\.rawValue),
            [0x18, 0x41, 0x60, 0x61, 0x64, 0x72, 0x78, 0x7b, 0x7c, 0x7f, 0x81, 0xa5, 0x400, 0x402, 0x403])
    }

    func testIndicesOfTheTracepoints() {
        let svm = HardwareExits.svmExitCodes(of: .svm).map { $0?.rawValue }
        XCTAssertEqual(svm.indices.filter { svm[$0] == 0x7c }, [0x7c, 0x10f], "RDMSR and WRMSR")
        XCTAssertEqual(svm.indices.filter { svm[$0] == 0x400 }, [0x100, 0x10e], "with and without MMIO")
        XCTAssertEqual(svm.indices.filter { svm[$0] == 0x72 }, [0x72])
        XCTAssertEqual(Set(svm.compactMap { $0 }).count, 0xa7 + 4, "every code has an index")
        let vmx = HardwareExits.svmExitCodes(of: .vmx).map { $0?.rawValue }
        for (reason, code) in [
            (10, 0x72), (12, 0x78), (30, 0x7b), (31, 0x7c), (32, 0x7c), (48, 0x400), (49, 0x400), (1, 0x60), (7, 0x64),
        ] as [(Int, UInt32)] {
            XCTAssertEqual(vmx[reason], code, "\(reason)")
        }
        for reason in [0, 28, 29, 46, 47, 52, 37] { XCTAssertNil(vmx[reason], "\(reason)") }
        XCTAssertEqual(vmx.dropFirst(86).compactMap { $0 }, [])
    }
}
