import KVM
package import MiniVMM

/// The registers as a debugger gets them: which there are, in which order, and how wide.
///
/// GDB knows an x86 processor by the features `org.gnu.gdb.i386.core`, `.sse` and `.segments`, with the registers in the
/// order of its own descriptions. Source: "Debugging with GDB", appendix "Target Descriptions", "i386 Features"; GDB,
/// gdb/features/i386/64bit-core.xml, 32bit-core.xml and their neighbours.
package struct RegisterLayout {
    /// What the description calls the processor: the debugger disassembles by it.
    package enum Architecture: String, Sendable {
        /// 16-bit code.
        case i8086
        /// 32-bit code.
        case i386
        /// A processor in long mode.
        case x86_64 = "i386:x86-64"
    }

    /// Where a register's value is.
    enum Source {
        case general(WritableKeyPath<GeneralRegisters, UInt64>)
        /// The instruction pointer, as a linear address.
        case instructionPointer
        case selector(WritableKeyPath<SpecialRegisters, SegmentRegister>)
        case base(WritableKeyPath<SpecialRegisters, SegmentRegister>)
        case control(WritableKeyPath<SpecialRegisters, UInt64>)
        /// Bytes of ``FloatingPointState``, from an offset on; zeros after `count`.
        case floatingPoint(offset: Int, count: Int)
        case tagWord
        /// Zero: KVM does not hand it out.
        case none
    }

    struct Register {
        let name: String
        let size: Int
        let type: String
        let source: Source
    }

    struct Feature {
        let name: String
        var declarations = ""
        let registers: [Register]
    }

    /// What the description calls the processor.
    package let architecture: Architecture
    let features: [Feature]
    let registers: [Register]

    /// The layout for an architecture.
    package init(_ architecture: Architecture) {
        self.architecture = architecture
        let is64Bit = architecture == .x86_64
        features =
            [
                Feature(
                    name: "org.gnu.gdb.i386.core", declarations: Self.flagsType,
                    registers: Self.generalRegisters(is64Bit: is64Bit) + Self.floatingPointRegisters),
                Feature(
                    name: "org.gnu.gdb.i386.sse", declarations: Self.vectorTypes,
                    registers: Self.vectorRegisters(count: is64Bit ? 16 : 8)),
            ]
            + (is64Bit
                ? [
                    Feature(
                        name: "org.gnu.gdb.i386.segments",
                        registers: [
                            Register(name: "fs_base", size: 8, type: "int", source: .base(\.fs)),
                            Register(name: "gs_base", size: 8, type: "int", source: .base(\.gs)),
                        ])
                ] : [])
            + [Feature(name: "org.minivmm.control", registers: Self.controlRegisters)]
        registers = features.flatMap(\.registers)
    }

    /// The layout for the code that a vCPU runs.
    package init(for registers: VCPURegisters) {
        let special = registers.special
        if special.efer & Self.longModeActive != 0 {
            self.init(.x86_64)
        } else {
            self.init(special.cs.db != 0 ? .i386 : .i8086)
        }
    }

    /// IA32_EFER.LMA.
    private static let longModeActive: UInt64 = 1 << 10

    /// How many bytes all registers have.
    package var size: Int { registers.reduce(0) { $0 + $1.size } }

    /// The number of a register, by its name.
    package func number(of name: String) -> Int? { registers.firstIndex { $0.name == name } }

    // MARK: Values

    /// A register's bytes, the lowest first.
    func value(of register: Register, in state: VCPURegisters) -> [UInt8] {
        switch register.source {
        case .general(let path): Self.bytes(state.general[keyPath: path], register.size)
        case .instructionPointer: Self.bytes(state.general.linearInstructionPointer(state.special), register.size)
        case .selector(let path): Self.bytes(UInt64(state.special[keyPath: path].selector), register.size)
        case .base(let path): Self.bytes(state.special[keyPath: path].base, register.size)
        case .control(let path): Self.bytes(state.special[keyPath: path], register.size)
        case .floatingPoint(let offset, let count):
            Array(state.floatingPoint.bytes[offset..<offset + count])
                + [UInt8](repeating: 0, count: register.size - count)
        case .tagWord: Self.bytes(Self.tagWord(state.floatingPoint), register.size)
        case .none: [UInt8](repeating: 0, count: register.size)
        }
    }

    /// Sets a register to bytes, the lowest first: as many as it has.
    func set(_ register: Register, to bytes: some Collection<UInt8>, in state: inout VCPURegisters) {
        let number = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch register.source {
        case .general(let path): state.general[keyPath: path] = number
        case .instructionPointer:
            state.general.rip =
                state.special.isCode64Bit
                ? number : UInt64(UInt32(truncatingIfNeeded: number &- state.special.cs.base))
        case .selector(let path):
            state.special[keyPath: path].selector = UInt16(truncatingIfNeeded: number)
            // In real mode the selector says where the segment is; elsewhere its hidden part stays.
            if state.special.cr0 & 1 == 0 { state.special[keyPath: path].base = (number & 0xffff) << 4 }
        case .base(let path): state.special[keyPath: path].base = number
        case .control(let path): state.special[keyPath: path] = number
        case .floatingPoint(let offset, let count):
            state.floatingPoint.bytes.replaceSubrange(offset..<offset + count, with: bytes.prefix(count))
        case .tagWord:
            // Two bits a register, 11 when it is empty.
            let used = (0..<8).reduce(UInt8(0)) { number >> (2 * UInt64($1)) & 3 == 3 ? $0 : $0 | 1 << UInt8($1) }
            state.floatingPoint.bytes[FloatingPointState.Offset.abridgedTag] = used
        case .none: break
        }
    }

    /// All registers' bytes.
    package func values(in state: VCPURegisters) -> [UInt8] {
        registers.flatMap { value(of: $0, in: state) }
    }

    /// Sets all registers.
    ///
    /// - Returns: Whether there are as many bytes as they have; else nothing was set.
    package func set(_ bytes: [UInt8], in state: inout VCPURegisters) -> Bool {
        guard bytes.count == size else { return false }
        var rest = bytes[...]
        // CS and CR0 say how the instruction pointer is to be read, so it comes last.
        var instructionPointer: (Register, ArraySlice<UInt8>)?
        for register in registers {
            let part = rest.prefix(register.size)
            rest = rest.dropFirst(register.size)
            if case .instructionPointer = register.source { instructionPointer = (register, part) }
            // What is as it was stays, with what the debugger does not see of it.
            if !part.elementsEqual(value(of: register, in: state)) { set(register, to: part, in: &state) }
        }
        if let (register, part) = instructionPointer, !part.elementsEqual(value(of: register, in: state)) {
            set(register, to: part, in: &state)
        }
        return true
    }

    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) : 0 }
    }

    /// The full tag word out of the abridged one: 00 for a register that is in use, 11 for one that is not.
    private static func tagWord(_ state: FloatingPointState) -> UInt64 {
        let used = state.bytes[FloatingPointState.Offset.abridgedTag]
        return (0..<8).reduce(0) { used >> UInt8($1) & 1 == 0 ? $0 | 3 << (2 * UInt64($1)) : $0 }
    }
}

// MARK: The registers

extension RegisterLayout {
    private static func generalRegisters(is64Bit: Bool) -> [Register] {
        let width = is64Bit ? 8 : 4
        let wide: [(String, String, WritableKeyPath<GeneralRegisters, UInt64>)] = [
            ("rax", "eax", \.rax), ("rbx", "ebx", \.rbx), ("rcx", "ecx", \.rcx), ("rdx", "edx", \.rdx),
            ("rsi", "esi", \.rsi), ("rdi", "edi", \.rdi), ("rbp", "ebp", \.rbp), ("rsp", "esp", \.rsp),
        ]
        // Each description has an order of its own.
        let order = is64Bit ? Array(wide.indices) : [0, 2, 3, 1, 7, 6, 4, 5]
        let upper: [(String, WritableKeyPath<GeneralRegisters, UInt64>)] = [
            ("r8", \.r8), ("r9", \.r9), ("r10", \.r10), ("r11", \.r11), ("r12", \.r12), ("r13", \.r13), ("r14", \.r14),
            ("r15", \.r15),
        ]
        var registers = order.map { index in
            let (name64, name32, path) = wide[index]
            let isPointer = name64 == "rbp" || name64 == "rsp"
            return Register(
                name: is64Bit ? name64 : name32, size: width,
                type: isPointer ? "data_ptr" : (is64Bit ? "int64" : "int32"), source: .general(path))
        }
        if is64Bit {
            registers += upper.map { Register(name: $0.0, size: 8, type: "int64", source: .general($0.1)) }
        }
        registers += [
            Register(name: is64Bit ? "rip" : "eip", size: width, type: "code_ptr", source: .instructionPointer),
            Register(name: "eflags", size: 4, type: "i386_eflags", source: .general(\.rflags)),
        ]
        let segments: [(String, WritableKeyPath<SpecialRegisters, SegmentRegister>)] = [
            ("cs", \.cs), ("ss", \.ss), ("ds", \.ds), ("es", \.es), ("fs", \.fs), ("gs", \.gs),
        ]
        return registers + segments.map { Register(name: $0.0, size: 4, type: "int32", source: .selector($0.1)) }
    }

    private static var floatingPointRegisters: [Register] {
        typealias Offset = FloatingPointState.Offset
        let stack = (0..<8).map {
            Register(
                name: "st\($0)", size: 10, type: "i387_ext",
                source: .floatingPoint(offset: Offset.registers + 16 * $0, count: 10))
        }
        let control: [(String, Source)] = [
            ("fctrl", .floatingPoint(offset: Offset.controlWord, count: 2)),
            ("fstat", .floatingPoint(offset: Offset.statusWord, count: 2)),
            ("ftag", .tagWord),
            ("fiseg", .none),
            ("fioff", .floatingPoint(offset: Offset.lastInstruction, count: 4)),
            ("foseg", .none),
            ("fooff", .floatingPoint(offset: Offset.lastOperand, count: 4)),
            ("fop", .floatingPoint(offset: Offset.lastOpcode, count: 2)),
        ]
        return stack + control.map { Register(name: $0.0, size: 4, type: "int", source: $0.1) }
    }

    private static func vectorRegisters(count: Int) -> [Register] {
        typealias Offset = FloatingPointState.Offset
        return (0..<count).map {
            Register(
                name: "xmm\($0)", size: 16, type: "vec128",
                source: .floatingPoint(offset: Offset.xmm + 16 * $0, count: 16))
        } + [
            Register(
                name: "mxcsr", size: 4, type: "i386_mxcsr", source: .floatingPoint(offset: Offset.mxcsr, count: 4))
        ]
    }

    private static var controlRegisters: [Register] {
        let control: [(String, WritableKeyPath<SpecialRegisters, UInt64>)] = [
            ("cr0", \.cr0), ("cr2", \.cr2), ("cr3", \.cr3), ("cr4", \.cr4), ("cr8", \.cr8), ("efer", \.efer),
        ]
        let bases: [(String, WritableKeyPath<SpecialRegisters, SegmentRegister>)] = [
            ("cs_base", \.cs), ("ss_base", \.ss), ("ds_base", \.ds), ("es_base", \.es),
        ]
        return control.map { Register(name: $0.0, size: 8, type: "uint64", source: .control($0.1)) }
            + bases.map { Register(name: $0.0, size: 8, type: "uint64", source: .base($0.1)) }
    }
}

// MARK: The description

extension RegisterLayout {
    /// The target description, in XML.
    package var description: String {
        var lines = [
            "<?xml version=\"1.0\"?>", "<!DOCTYPE target SYSTEM \"gdb-target.dtd\">", "<target>",
            "<architecture>\(architecture.rawValue)</architecture>",
        ]
        for feature in features {
            lines.append("<feature name=\"\(feature.name)\">")
            if !feature.declarations.isEmpty { lines.append(feature.declarations) }
            lines += feature.registers.map {
                "<reg name=\"\($0.name)\" bitsize=\"\($0.size * 8)\" type=\"\($0.type)\"/>"
            }
            lines.append("</feature>")
        }
        return (lines + ["</target>", ""]).joined(separator: "\n")
    }

    /// The bits of EFLAGS by their names. Source: Intel SDM, volume 1, "EFLAGS register".
    private static let flagsType = flags(
        "i386_eflags",
        [
            ("CF", 0), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("TF", 8), ("IF", 9), ("DF", 10), ("OF", 11),
            ("NT", 14), ("RF", 16), ("VM", 17), ("AC", 18), ("VIF", 19), ("VIP", 20), ("ID", 21),
        ])

    private static let vectorTypes =
        [
            ("v4f", "ieee_single", 4), ("v2d", "ieee_double", 2), ("v16i8", "int8", 16), ("v8i16", "int16", 8),
            ("v4i32", "int32", 4), ("v2i64", "int64", 2),
        ]
        .map { "<vector id=\"\($0.0)\" type=\"\($0.1)\" count=\"\($0.2)\"/>" }.joined(separator: "\n")
            + """

            <union id="vec128">
            <field name="v4_float" type="v4f"/>
            <field name="v2_double" type="v2d"/>
            <field name="v16_int8" type="v16i8"/>
            <field name="v8_int16" type="v8i16"/>
            <field name="v4_int32" type="v4i32"/>
            <field name="v2_int64" type="v2i64"/>
            <field name="uint128" type="uint128"/>
            </union>

            """
        + flags(
            "i386_mxcsr",
            [
                ("IE", 0), ("DE", 1), ("ZE", 2), ("OE", 3), ("UE", 4), ("PE", 5), ("DAZ", 6), ("IM", 7), ("DM", 8),
                ("ZM", 9), ("OM", 10), ("UM", 11), ("PM", 12), ("FZ", 15),
            ])

    private static func flags(_ name: String, _ fields: [(String, Int)]) -> String {
        (["<flags id=\"\(name)\" size=\"4\">"]
            + fields.map { "<field name=\"\($0.0)\" start=\"\($0.1)\" end=\"\($0.1)\"/>" } + ["</flags>"])
            .joined(separator: "\n")
    }
}
