import Counters
import MiniVMM

/// An operation whose cost is measured: a few instructions of a guest.
package struct BenchmarkOperation: Hashable, Sendable {
    /// What brings the operation about.
    enum Vehicle: Hashable, Sendable {
        /// A loop over KVM_RUN that does nothing else.
        case bareLoop
        /// The same, with an MSR that KVM leaves to this process.
        case bareLoopWithMSR(UInt32)
        /// MiniVMM, with a CPUID trap.
        case miniVMM(CPUIDTrap)
        /// A program at privilege level 3, and MiniVMM with the fault trap.
        case ringThree
    }

    /// The name in the JSON format.
    package let name: String
    /// The name in tables.
    package let title: String
    let vehicle: Vehicle
    /// Instructions before the loop, in 16-bit code.
    package var setup: [UInt8] = []
    /// The instructions that are measured, in 16-bit code, or for level 3 in 64-bit code. They leave DI and BP as they
    /// are, and ESI or EBX, whichever `clock` is.
    package let code: [UInt8]
    /// How many items the instructions move.
    package var items = 1
    /// The register that holds the time at the start.
    package var clock = BenchmarkProgram.Clock.esi
}

extension BenchmarkOperation {
    /// The port that is written to and read from: a PC's power-on self-test codes.
    private static let port: UInt8 = 0x80
    /// An MSR that KVM itself answers for every guest: IA32_BIOS_SIGN_ID, which guests may read, and write 0 to.
    /// Source: Intel SDM, volume 4.
    private static let msr: UInt8 = 0x8b
    private static let itemCount = 32

    /// MOV DX, port; MOV CX, itemCount; REP, and a string instruction.
    private static func string(_ opcode: UInt8) -> [UInt8] {
        [0xba, port, 0x00, 0xb9, UInt8(itemCount & 0xff), UInt8(itemCount >> 8), 0xf3, opcode]
    }

    /// MOV ECX, msr; an instruction for it.
    private static func msrAccess(_ instruction: [UInt8]) -> [UInt8] {
        [0x66, 0xb9, msr, 0, 0, 0] + instruction
    }

    /// MOV EAX, leaf; CPUID.
    private static func cpuid(_ leaf: UInt32) -> [UInt8] { [0x66] + wideCPUID(leaf) }

    /// The same in 64-bit code.
    private static func wideCPUID(_ leaf: UInt32) -> [UInt8] {
        [0xb8] + (0..<4).map { UInt8(truncatingIfNeeded: leaf >> (8 * $0)) } + CPUIDSites.opcode
    }

    /// All operations, in the order in which they are shown.
    ///
    /// Source of the instructions: Intel SDM, volume 2.
    package static let all: [BenchmarkOperation] = inputOutput + memoryAndHalt + processor

    private static let inputOutput: [BenchmarkOperation] = [
        .init(name: "nothing", title: "nothing (two RDTSCs)", vehicle: .bareLoop, code: []),
        .init(name: "out", title: "OUT", vehicle: .bareLoop, code: [0xe6, port]),
        .init(name: "out_minivmm", title: "OUT, serviced by MiniVMM", vehicle: .miniVMM(.none), code: [0xe6, port]),
        .init(name: "in", title: "IN", vehicle: .bareLoop, code: [0xe4, port]),
        // XOR SI, SI; REP OUTSB
        .init(
            name: "outs_item", title: "REP OUTSB, per item", vehicle: .bareLoop, code: [0x31, 0xf6] + string(0x6e),
            items: itemCount, clock: .ebx),
        // PUSH DI; MOV DI, 0x8000; REP INSB; POP DI: the items go behind the times.
        .init(
            name: "ins_item", title: "REP INSB, per item", vehicle: .bareLoop,
            code: [0x57, 0xbf, 0x00, 0x80] + string(0x6c) + [0x5f], items: itemCount),
    ]

    /// MOV AX, 0xA000; MOV DS, AX: the hole above a PC's conventional memory.
    private static let toMemoryHole: [UInt8] = [0xb8, 0x00, 0xa0, 0x8e, 0xd8]

    private static let memoryAndHalt: [BenchmarkOperation] = [
        // MOV AL, [0]
        .init(
            name: "mmio_read", title: "MMIO read", vehicle: .bareLoop, setup: toMemoryHole, code: [0xa0, 0x00, 0x00]),
        // MOV [0], AL
        .init(
            name: "mmio_write", title: "MMIO write", vehicle: .bareLoop, setup: toMemoryHole, code: [0xa2, 0x00, 0x00]),
        .init(name: "hlt", title: "HLT, woken at once", vehicle: .bareLoop, code: [0xf4]),
    ]

    private static let processor: [BenchmarkOperation] = [
        .init(name: "cpuid_kvm", title: "CPUID, answered by KVM", vehicle: .bareLoop, code: cpuid(0)),
        .init(name: "cpuid_debug", title: "CPUID, trap debug", vehicle: .miniVMM(.debug), code: cpuid(0x4fff_fffc)),
        .init(name: "cpuid_patch", title: "CPUID, trap patch", vehicle: .miniVMM(.patch), code: cpuid(0x4fff_fffc)),
        .init(name: "cpuid_step", title: "CPUID, trap step", vehicle: .miniVMM(.step), code: cpuid(0x4fff_fffc)),
        .init(name: "cpuid_fault", title: "CPUID, trap fault", vehicle: .ringThree, code: wideCPUID(0x4fff_fffc)),
        .init(name: "cpuid_fault_0", title: "CPUID leaf 0, trap fault", vehicle: .ringThree, code: wideCPUID(0)),
        // RDMSR
        .init(
            name: "rdmsr_kvm", title: "RDMSR, settled by KVM", vehicle: .bareLoop, code: msrAccess([0x0f, 0x32])),
        .init(
            name: "rdmsr_vmm", title: "RDMSR, settled by the VMM", vehicle: .bareLoopWithMSR(UInt32(msr)),
            code: msrAccess([0x0f, 0x32])),
        // XOR EAX, EAX; XOR EDX, EDX; WRMSR
        .init(
            name: "wrmsr_kvm", title: "WRMSR, settled by KVM", vehicle: .bareLoop,
            code: msrAccess([0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, 0x0f, 0x30])),
        .init(
            name: "wrmsr_vmm", title: "WRMSR, settled by the VMM", vehicle: .bareLoopWithMSR(UInt32(msr)),
            code: msrAccess([0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, 0x0f, 0x30])),
    ]
}
