package import CKVM

/// A register of the eBPF machine. Source: Linux, Documentation/bpf/standardization/instruction-set.rst.
package enum BPFRegister: UInt8, Sendable {
    /// What functions return, and the program itself.
    case r0
    /// Arguments of functions, which lose them.
    case r1, r2, r3, r4, r5
    /// Registers that functions keep.
    case r6, r7, r8, r9
    /// The end of the stack, 512 bytes, which grows down. It is only read.
    case stack
}

/// How many bytes an instruction loads or stores.
package enum BPFWidth: UInt8, Sendable {
    case word = 0x00
    case half = 0x08
    case byte = 0x10
    case double = 0x18
}

/// Arithmetic on all 64 bits of a register.
package enum BPFOperation: UInt8, Sendable {
    case add = 0x00
    case subtract = 0x10
    case multiply = 0x20
    case or = 0x40
    case and = 0x50
    case shiftLeft = 0x60
    case shiftRight = 0x70
    case move = 0xb0
    case shiftRightArithmetic = 0xc0
}

/// What a jump depends on.
package enum BPFCondition: UInt8, Sendable {
    case equal = 0x10
    case greaterOrEqual = 0x30
    case notEqual = 0x50
    case signedGreaterOrEqual = 0x70
    case signedLess = 0xc0
    case less = 0xa0
}

/// A function of the kernel that programs may call. Source: Linux, include/uapi/linux/bpf.h.
package enum BPFFunction: Int32, Sendable {
    case lookUpElement = 1
    case updateElement = 2
    case nanoseconds = 5
    case currentThread = 14
    case readKernelMemory = 113
    case currentThreadInNamespace = 120
}

/// A place in a program that jumps lead to.
package struct BPFLabel: Hashable, Sendable {
    fileprivate let number: Int
}

/// Puts an eBPF program together, instruction by instruction.
package struct BPFAssembler {
    private var code: [ckvm_bpf_instruction] = []
    /// Where the labels are, by number.
    private var places: [Int?] = []
    private var jumps: [(at: Int, to: BPFLabel)] = []

    /// Classes and modes of opcodes.
    private enum Opcode {
        static let load: UInt8 = 0x61
        static let storeImmediate: UInt8 = 0x62
        static let store: UInt8 = 0x63
        /// A store whose immediate says how it computes; 0 adds.
        static let atomic: UInt8 = 0xc3
        static let loadImmediate64: UInt8 = 0x18
        static let arithmetic: UInt8 = 0x07
        static let jump: UInt8 = 0x05
        static let fromRegister: UInt8 = 0x08
        static let call: UInt8 = 0x85
        static let exit: UInt8 = 0x95
        /// The source register of a 64-bit load that names a map by its descriptor.
        static let mapDescriptor: UInt8 = 1
    }

    /// An empty program.
    package init() {}

    /// The program. All labels that are jumped to must have been placed.
    package var instructions: [ckvm_bpf_instruction] {
        var code = code
        for (at, label) in jumps {
            guard let place = places[label.number] else { continue }
            code[at].offset = Int16(place - at - 1)
        }
        return code
    }

    private mutating func emit(
        _ code: UInt8, _ destination: BPFRegister = .r0, _ source: UInt8 = 0, offset: Int16 = 0, _ immediate: Int32 = 0
    ) {
        self.code.append(
            ckvm_bpf_instruction(
                code: code, registers: destination.rawValue | source << 4, offset: offset, immediate: immediate))
    }

    // MARK: Arithmetic

    /// destination = destination (operation) source
    package mutating func compute(_ operation: BPFOperation, _ destination: BPFRegister, _ source: BPFRegister) {
        emit(Opcode.arithmetic | operation.rawValue | Opcode.fromRegister, destination, source.rawValue)
    }

    /// destination = destination (operation) value
    package mutating func compute(_ operation: BPFOperation, _ destination: BPFRegister, _ value: Int32) {
        emit(Opcode.arithmetic | operation.rawValue, destination, 0, value)
    }

    /// destination = source
    package mutating func move(_ destination: BPFRegister, _ source: BPFRegister) {
        compute(.move, destination, source)
    }

    /// destination = value
    package mutating func move(_ destination: BPFRegister, _ value: Int32) {
        compute(.move, destination, value)
    }

    /// destination = value, all 64 bits
    package mutating func move(_ destination: BPFRegister, wide value: UInt64) {
        emit(Opcode.loadImmediate64, destination, 0, Int32(truncatingIfNeeded: value))
        emit(0, .r0, 0, Int32(truncatingIfNeeded: value >> 32))
    }

    /// destination = the map behind a descriptor
    package mutating func move(_ destination: BPFRegister, map descriptor: Int32) {
        emit(Opcode.loadImmediate64, destination, Opcode.mapDescriptor, descriptor)
        emit(0)
    }

    /// destination = the stack's address plus an offset
    package mutating func address(_ destination: BPFRegister, ofStack offset: Int16) {
        move(destination, .stack)
        compute(.add, destination, Int32(offset))
    }

    // MARK: Memory

    /// destination = *(base + offset)
    package mutating func load(
        _ width: BPFWidth, _ destination: BPFRegister, from base: BPFRegister, _ offset: Int16
    ) {
        emit(Opcode.load | width.rawValue, destination, base.rawValue, offset: offset)
    }

    /// *(base + offset) = source
    package mutating func store(
        _ width: BPFWidth, _ source: BPFRegister, to base: BPFRegister, _ offset: Int16
    ) {
        emit(Opcode.store | width.rawValue, base, source.rawValue, offset: offset)
    }

    /// *(base + offset) = value
    package mutating func store(_ width: BPFWidth, _ value: Int32, to base: BPFRegister, _ offset: Int16) {
        emit(Opcode.storeImmediate | width.rawValue, base, 0, offset: offset, value)
    }

    /// destination = *(base + offset), all 64 bits
    package mutating func load(_ destination: BPFRegister, from base: BPFRegister, _ offset: Int16) {
        load(.double, destination, from: base, offset)
    }

    /// *(base + offset) = source, all 64 bits
    package mutating func store(_ source: BPFRegister, to base: BPFRegister, _ offset: Int16) {
        store(.double, source, to: base, offset)
    }

    /// *(base + offset) = value, 64 bits
    package mutating func store(_ value: Int32, to base: BPFRegister, _ offset: Int16) {
        store(.double, value, to: base, offset)
    }

    /// *(base + offset) += source, all 64 bits, whoever else does the same at the same time
    package mutating func addAtomically(_ source: BPFRegister, to base: BPFRegister, _ offset: Int16) {
        emit(Opcode.atomic | BPFWidth.double.rawValue, base, source.rawValue, offset: offset)
    }

    // MARK: Control

    /// A label that is to be placed later.
    package mutating func makeLabel() -> BPFLabel {
        places.append(nil)
        return BPFLabel(number: places.count - 1)
    }

    /// Puts a label in front of the next instruction.
    package mutating func place(_ label: BPFLabel) {
        places[label.number] = code.count
    }

    /// Goes on at a label.
    package mutating func jump(to label: BPFLabel) {
        jumps.append((code.count, label))
        emit(Opcode.jump)
    }

    /// Goes on at a label if a register compares with a value.
    package mutating func jump(_ register: BPFRegister, _ condition: BPFCondition, _ value: Int32, to label: BPFLabel) {
        jumps.append((code.count, label))
        emit(Opcode.jump | condition.rawValue, register, 0, value)
    }

    /// Goes on at a label if two registers compare.
    package mutating func jump(
        _ register: BPFRegister, _ condition: BPFCondition, _ other: BPFRegister, to label: BPFLabel
    ) {
        jumps.append((code.count, label))
        emit(Opcode.jump | condition.rawValue | Opcode.fromRegister, register, other.rawValue)
    }

    /// r0 = function(r1, r2, r3, r4, r5), which lose their values
    package mutating func call(_ function: BPFFunction) {
        emit(Opcode.call, .r0, 0, function.rawValue)
    }

    /// Ends the program with r0.
    package mutating func exit() {
        emit(Opcode.exit)
    }
}
