/// The VMX capability MSRs decoded: values in, a table out.
///
/// There may be several sources, such as the processor and KVM; each has a column.
package struct VMXTable: Hashable, Sendable {
    /// A register and its value in each source; nil where a source has none.
    package struct Register: Hashable, Sendable {
        package let register: VMXRegister
        package let values: [UInt64?]
    }

    /// A row of a section.
    package enum Row: Hashable, Sendable {
        /// A control, and its settings in each source.
        case control(bit: Int, name: String, [VMXSetting?])
        /// A fact, and how it reads in each source.
        case fact(bits: ClosedRange<Int>, name: String, [String?])
    }

    /// One group of controls or facts.
    package struct Section: Hashable, Sendable {
        package let title: String
        package let registers: [Register]
        package let rows: [Row]
        /// Bits without a name that can be set and cleared, in any source.
        package let flexibleOthers: [Int]
        /// Bits without a name that must be 1, in all sources.
        package let fixedOthers: [Int]
    }

    /// The sections whose registers at least one source has.
    package let sections: [Section]

    /// Decodes.
    package init(_ sources: [VMXCapabilities]) {
        sections = VMXSection.all.compactMap { Self.decode($0, sources) }
    }

    private static func decode(_ section: VMXSection, _ sources: [VMXCapabilities]) -> Section? {
        switch section.content {
        case .facts(let register, let facts):
            let values = sources.map { $0.values[register] }
            guard values.contains(where: { $0 != nil }) else { return nil }
            let rows = facts.map { fact in
                Row.fact(bits: fact.bits, name: fact.name, values.map { $0.map(fact.reading) })
            }
            return Section(
                title: section.title, registers: [Register(register: register, values: values)], rows: rows,
                flexibleOthers: [], fixedOthers: [])
        case .controls(let settings, let names):
            let masks = sources.map { settings.masks(in: $0) }
            let known = masks.compactMap { $0 }
            guard !known.isEmpty else { return nil }
            let others = (0..<settings.width).filter { bit in !names.contains { $0.bit == bit } }
            return Section(
                title: section.title,
                registers: settings.registers.map { register in
                    Register(register: register, values: sources.map { $0.values[register] })
                },
                rows: names.map { bit, name in
                    .control(bit: bit, name: name, masks.map { $0.map { setting(bit, $0.mustBeOne, $0.mayBeOne) } })
                },
                flexibleOthers: others.filter { bit in
                    known.contains { setting(bit, $0.mustBeOne, $0.mayBeOne) == .init(canSet: true, canClear: true) }
                },
                fixedOthers: others.filter { bit in known.allSatisfy { $0.mustBeOne >> bit & 1 == 1 } })
        }
    }

    private static func setting(_ bit: Int, _ mustBeOne: UInt64, _ mayBeOne: UInt64) -> VMXSetting {
        VMXSetting(canSet: mayBeOne >> bit & 1 == 1, canClear: mustBeOne >> bit & 1 == 0)
    }
}

extension VMXFact {
    /// How the fact reads in a register's value.
    func reading(of value: UInt64) -> String {
        let width = bits.upperBound - bits.lowerBound + 1
        let number = value >> bits.lowerBound & (width == 64 ? .max : (1 << width) - 1)
        return switch form {
        case .flag: number == 1 ? "yes" : "no"
        case .number: String(number)
        case .hexadecimal: "0x" + String(number, radix: 16)
        case .memoryType: number == 6 ? "write-back" : number == 0 ? "uncacheable" : String(number)
        case .listLength: String(512 * (number + 1))
        }
    }
}
