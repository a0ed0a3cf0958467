import CKVM

/// A place that exits come from which KVM settles: an instruction of the guest, and what it was about.
package struct ExitPlace: Hashable, Sendable {
    /// The thread's place in the counts.
    package let thread: Int
    /// The reason, see ``ExitReasonIndex``.
    package let reason: Int
    /// The address of the instruction, as the guest's RIP has it; 0 where the kernel does not tell.
    package let address: UInt64
    /// An MSR's number, a leaf (high half) and subleaf of CPUID, a port, or a guest-physical address, by the reason; nil
    /// where KVM tells nothing.
    package let detail: UInt64?
    /// How many exits.
    package var count: UInt64
    /// What KVM took for them, in nanoseconds, sleep taken off.
    package var nanoseconds: UInt64
    /// How many took from 2^b up to 2^(b+1) nanoseconds, the last bucket open.
    package var histogram: [UInt64]

    /// The key in the map: the slot, 32 bits of nothing, the address, the detail.
    static let keySize = 24
    /// The value: count, nanoseconds, and the histogram.
    static let valueSize = histogramOffset + 8 * ExitSlot.bucketCount
    static let histogramOffset = 16

    /// A place as the map has it.
    init?(key: [UInt64], value: [UInt64]) {
        guard key.count == Self.keySize / 8, value.count == Self.valueSize / 8 else { return nil }
        let slot = Int(key[0] & 0xffff_ffff)
        thread = slot / ExitReasonIndex.count
        reason = slot % ExitReasonIndex.count
        address = key[1]
        detail = key[2] == Self.noDetail ? nil : key[2]
        count = value[0]
        nanoseconds = value[1]
        histogram = Array(value[2...])
    }

    /// What the programs write where KVM has told nothing: no MSR, leaf, port or address is that. As the machine's
    /// instructions have it, a 32-bit number whose sign is extended.
    static let noDetailValue: Int32 = -1
    static let noDetail = UInt64.max
}

// MARK: Programs

extension ExitPrograms {
    /// Notes the address of the instruction, and that nothing is known of it yet. r0 to r5 are lost.
    func noteAddress(_ code: inout BPFAssembler) {
        code.store(ExitPlace.noDetailValue, to: .r7, Thread.detail)
        switch access {
        case .classic(let layout):
            guard let address = layout.address else { return code.store(0, to: .r7, Thread.address) }
            code.load(.r1, from: .r6, address)
            code.store(.r1, to: .r7, Thread.address)
        case .raw(.svm, .some):
            // The address is that of the VMCB so far.
            code.load(.r3, from: .r7, Thread.address)
            code.compute(.add, .r3, Self.vmcbRIP)
            read(8, to: Stack.info, &code)
            code.load(.r1, from: .stack, Stack.info)
            code.store(.r1, to: .r7, Thread.address)
        case .raw:
            // VMX's is in the processor, where programs cannot read it.
            code.store(0, to: .r7, Thread.address)
        }
    }

    /// Where a VMCB has RIP. Source: AMD APM, volume 2, appendix B.
    private static let vmcbRIP: Int32 = 0x578

    /// Notes what the exit in progress is about.
    func noteDetail(_ tracepoint: Tracepoint, _ code: inout BPFAssembler) {
        switch access {
        case .classic(let layout):
            guard let offset = layout.details[tracepoint] else { return }
            code.load(Self.isWide(tracepoint) ? .double : .word, .r1, from: .r6, offset)
            keepPage(tracepoint, &code)
            if tracepoint == .cpuid, let subleaf = layout.subleaf { join(subleaf, .word, &code) }
        case .raw:
            // The arguments, 64 bits each. Source: Linux, arch/x86/kvm/trace.h.
            switch tracepoint {
            case .msr, .port: code.load(.word, .r1, from: .r6, 8)  // write or rw; the number
            case .cpuid:
                code.load(.word, .r1, from: .r6, 0)
                join(8, .word, &code)
            case .mmio:
                code.load(.r1, from: .r6, 16)  // type, length, address
                keepPage(tracepoint, &code)
            default:
                // Since Linux 6.2 the vCPU comes first; addresses in the kernel are negative, the guest's are not.
                let isAddress = code.makeLabel()
                code.load(.r1, from: .r6, 0)
                code.jump(.r1, .signedGreaterOrEqual, 0, to: isAddress)
                code.load(.r1, from: .r6, 8)
                code.place(isAddress)
                keepPage(tracepoint, &code)
            }
        }
        code.store(.r1, to: .r7, Thread.detail)
    }

    /// Whether the tracepoint tells what exits are about, as far as is known.
    func tellsDetail(_ tracepoint: Tracepoint) -> Bool {
        if case .classic(let layout) = access { layout.details[tracepoint] != nil } else { true }
    }

    private static func isWide(_ tracepoint: Tracepoint) -> Bool {
        tracepoint == .mmio || tracepoint == .pageFault
    }

    /// r1 = the page of the address in r1, where it is one.
    private func keepPage(_ tracepoint: Tracepoint, _ code: inout BPFAssembler) {
        if Self.isWide(tracepoint) { code.compute(.and, .r1, -4096) }
    }

    /// r1 = r1 << 32 | *(r6 + offset)
    private func join(_ offset: Int16, _ width: BPFWidth, _ code: inout BPFAssembler) {
        code.compute(.shiftLeft, .r1, 32)
        code.load(width, .r2, from: .r6, offset)
        code.compute(.or, .r1, .r2)
    }

    /// Counts the exit that KVM has settled, in the time in r9, for its place.
    func countPlace(_ map: Int32, _ code: inout BPFAssembler, _ out: BPFLabel) {
        let (isKnown, lost) = (code.makeLabel(), code.makeLabel())
        code.load(.word, .r1, from: .r7, Thread.slot)
        code.store(.r1, to: .stack, Stack.place)
        code.load(.r1, from: .r7, Thread.address)
        code.store(.r1, to: .stack, Stack.place + 8)
        code.load(.r1, from: .r7, Thread.detail)
        code.store(.r1, to: .stack, Stack.place + 16)
        lookUpPlace(map, &code)
        code.jump(.r0, .notEqual, 0, to: isKnown)
        // A new one, at zero.
        for offset in stride(from: 0, to: Int16(ExitPlace.valueSize), by: 8) {
            code.store(0, to: .stack, Stack.placeValue + offset)
        }
        code.move(.r1, map: map)
        code.address(.r2, ofStack: Stack.place)
        code.address(.r3, ofStack: Stack.placeValue)
        code.move(.r4, 0)
        code.call(.updateElement)
        code.jump(.r0, .notEqual, 0, to: lost)
        lookUpPlace(map, &code)
        code.jump(.r0, .equal, 0, to: lost)
        code.place(isKnown)
        increment(0, &code)
        add(.r9, to: 8, &code)
        countInHistogram(at: Int16(ExitPlace.histogramOffset), &code)
        code.jump(to: out)

        // No room.
        code.place(lost)
        code.move(.r0, .r7)
        increment(Thread.lost, &code)
    }

    /// r0 = the value of the place on the stack, or 0.
    private func lookUpPlace(_ map: Int32, _ code: inout BPFAssembler) {
        code.move(.r1, map: map)
        code.address(.r2, ofStack: Stack.place)
        code.call(.lookUpElement)
    }
}
