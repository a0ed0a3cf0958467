import CKVM
package import KVM
package import Memory

/// The registers of a vCPU at one moment, and the code at its instruction pointer.
public struct VCPUSnapshot: Hashable, Sendable {
    /// A register and its value.
    public struct Register: Hashable, Sendable {
        /// The name, in lower case.
        public let name: String
        /// The value.
        public let value: UInt64
    }

    /// A segment register.
    public struct Segment: Hashable, Sendable {
        /// The name, in lower case.
        public let name: String
        /// The visible part.
        public let selector: UInt16
        /// The hidden part.
        public let base: UInt64
        /// The hidden part.
        public let limit: UInt32
    }

    /// The processor's mode.
    public enum Mode: String, Hashable, Sendable {
        /// Real mode.
        case real = "real mode"
        /// Virtual-8086 mode.
        case virtual8086 = "virtual-8086 mode"
        /// Protected mode with a 16-bit code segment.
        case protected16 = "16-bit protected mode"
        /// Protected mode with a 32-bit code segment.
        case protected32 = "32-bit protected mode"
        /// Long mode with a 16- or 32-bit code segment.
        case compatibility = "compatibility mode"
        /// Long mode with a 64-bit code segment.
        case long = "64-bit mode"
    }

    /// The mode.
    public let mode: Mode
    /// The current privilege level.
    public let privilegeLevel: UInt8
    /// The general registers, RIP and RFLAGS.
    public let general: [Register]
    /// Control registers and EFER.
    public let control: [Register]
    /// The segment registers, TR and LDTR.
    public let segments: [Segment]
    /// The linear address of the instruction pointer.
    public let linearInstructionPointer: UInt64
    /// The bytes at the instruction pointer, as far as they are mapped.
    public let code: [UInt8]

    /// Where the functions return to that were entered, the innermost first, as far as frame pointers lead.
    public package(set) var backtrace: [UInt64] = []

    /// How many frames are followed at most.
    private static let maximumDepth = 32

    /// How many bytes of code a snapshot holds: the longest instruction and one more.
    static let codeLength = 16
}

extension VCPUSnapshot {
    /// The present state of a stopped vCPU.
    ///
    /// - Throws: `KVMError` when KVM does not hand out registers.
    package init(of vcpu: VCPU, memory: GuestMemory) throws(KVMError) {
        let registers = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        self.init(registers: registers, special: special, memory: memory)
    }

    package init(registers: GeneralRegisters, special: SpecialRegisters, memory: GuestMemory) {
        mode = Mode(special: special, rflags: registers.rflags)
        // The privilege level is that of the stack segment's descriptor. Source: Intel SDM, volume 3.
        privilegeLevel = special.ss.dpl
        general = Self.general(registers)
        control = [
            Register(name: "cr0", value: special.cr0), Register(name: "cr2", value: special.cr2),
            Register(name: "cr3", value: special.cr3), Register(name: "cr4", value: special.cr4),
            Register(name: "efer", value: special.efer),
        ]
        segments = [
            Segment("cs", special.cs), Segment("ds", special.ds), Segment("es", special.es), Segment("fs", special.fs),
            Segment("gs", special.gs), Segment("ss", special.ss), Segment("tr", special.tr),
            Segment("ldt", special.ldt),
        ]
        linearInstructionPointer = registers.linearInstructionPointer(special)
        code = special.pageWalk
            .bytes(at: linearInstructionPointer, count: Self.codeLength, in: memory)
        backtrace = Self.backtrace(from: registers.rbp, mode, special, memory)
    }

    /// Follows the frame pointers: each points at the caller's, behind which the return address stands. Where functions
    /// keep none, there is nothing to follow, and whatever is in the register leads nowhere.
    private static func backtrace(
        from start: UInt64, _ mode: Mode, _ special: SpecialRegisters, _ memory: GuestMemory
    ) -> [UInt64] {
        let isWide = mode == .long
        guard isWide || mode == .protected32 else { return [] }
        let walk = special.pageWalk
        let size: UInt64 = isWide ? 8 : 4
        func word(_ address: UInt64) -> UInt64? {
            let linear = isWide ? address : UInt64(UInt32(truncatingIfNeeded: special.ss.base &+ address))
            guard address % size == 0, let physical = walk.translate(linear, in: memory) else { return nil }
            if isWide { return try? memory.load(UInt64.self, at: physical) }
            return (try? memory.load(UInt32.self, at: physical)).map(UInt64.init)
        }
        var found: [UInt64] = []
        var frame = isWide ? start : UInt64(UInt32(truncatingIfNeeded: start))
        while found.count < maximumDepth, let next = word(frame), let address = word(frame &+ size), address != 0 {
            found.append(address)
            // Stacks grow down: a caller's frame is above.
            guard next > frame else { break }
            frame = next
        }
        return found
    }

    private static func general(_ registers: GeneralRegisters) -> [Register] {
        [
            Register(name: "rax", value: registers.rax), Register(name: "rbx", value: registers.rbx),
            Register(name: "rcx", value: registers.rcx), Register(name: "rdx", value: registers.rdx),
            Register(name: "rsi", value: registers.rsi), Register(name: "rdi", value: registers.rdi),
            Register(name: "rbp", value: registers.rbp), Register(name: "rsp", value: registers.rsp),
            Register(name: "r8", value: registers.r8), Register(name: "r9", value: registers.r9),
            Register(name: "r10", value: registers.r10), Register(name: "r11", value: registers.r11),
            Register(name: "r12", value: registers.r12), Register(name: "r13", value: registers.r13),
            Register(name: "r14", value: registers.r14), Register(name: "r15", value: registers.r15),
            Register(name: "rip", value: registers.rip), Register(name: "rflags", value: registers.rflags),
        ]
    }
}

extension VCPUSnapshot.Segment {
    package init(_ name: String, _ segment: SegmentRegister) {
        self.init(name: name, selector: segment.selector, base: segment.base, limit: segment.limit)
    }
}

extension VCPUSnapshot.Mode {
    package init(special: SpecialRegisters, rflags: UInt64) {
        if special.cr0 & RegisterBits.cr0ProtectionEnable == 0 {
            self = .real
        } else if special.efer & RegisterBits.eferLongModeActive != 0 {
            self = special.cs.l != 0 ? .long : .compatibility
        } else if rflags & RegisterBits.rflagsVirtual8086 != 0 {
            self = .virtual8086
        } else {
            self = special.cs.db != 0 ? .protected32 : .protected16
        }
    }
}
