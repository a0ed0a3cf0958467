import CKVM

/// The programs that run at KVM's tracepoints, in the thread of the vCPU that exits.
///
/// They keep for each thread a ``Thread`` (in a hash by its number) and add to the ``ExitSlot`` of the reason (in an array
/// that this process maps). Registers in all of them: r6 the record, r7 the thread, r8 and r9 what the comments say.
struct ExitPrograms {
    /// KVM's tracepoints that have a program.
    enum Tracepoint: String, CaseIterable {
        /// The guest has exited; before KVM handles it.
        case exit = "kvm_exit"
        /// The guest is about to be entered.
        case entry = "kvm_entry"
        /// KVM_RUN returns.
        case userspaceExit = "kvm_userspace_exit"
        /// A vCPU that has halted goes on, and how long it slept.
        case wakeup = "kvm_vcpu_wakeup"
        /// What an exit is about: an MSR, a leaf of CPUID, a port, an address.
        case msr = "kvm_msr"
        case cpuid = "kvm_cpuid"
        case port = "kvm_pio"
        case mmio = "kvm_mmio"
        case pageFault = "kvm_page_fault"

        /// Those that count: in the order in which they are attached, kvm_entry's first, so that no exit stays open, and
        /// kvm_exit's last.
        static let counting: [Self] = [.entry, .userspaceExit, .wakeup, .exit]
        /// Those that say what an exit is about.
        static let details: [Self] = [.msr, .cpuid, .port, .mmio, .pageFault]
    }

    /// How the programs get at what tracepoints tell.
    enum Access {
        /// Raw arguments, and the reason out of the vCPU's structure: the extension, and where vcpu_svm has its VMCB or
        /// vcpu_vmx its exit reason, in bytes; nil where the reason is an argument.
        case raw(ProcessorExtension, Int32?)
        /// Records, and where their fields stand.
        case classic(RecordLayout)
    }

    /// Where the fields of records stand, in bytes.
    struct RecordLayout {
        let reason, extensionNumber, info1, nanoseconds, error: Int16
        /// The instruction's address in kvm_exit; nil where it has none.
        var address: Int16?
        /// What an exit is about, by the tracepoint that tells.
        var details: [Tracepoint: Int16] = [:]
        /// CPUID's subleaf.
        var subleaf: Int16?
    }

    /// Whose threads are counted.
    struct Process {
        let number: Int32
        /// The namespace of process ids that the number is of; nil for the initial one.
        let namespace: (device: UInt64, inode: UInt64)?
    }

    /// How kvm_exit's program takes in threads that nobody has added: those of a process that is watched. A thread's
    /// place is the number of the first vCPU that it is seen to run.
    struct Newcomers {
        /// Where the number of a vCPU stands, in bytes: in kvm_exit's record, or in KVM's structure of a vCPU.
        let vcpuNumber: Int32
        /// How many places there are. Exits of vCPUs with other numbers are counted as lost.
        let placeCount: Int32
    }

    /// What is kept of a thread: the values of the hash.
    enum Thread {
        static let size: UInt32 = 80
        /// When the exit in progress began; 0 when there is none.
        static let since: Int16 = 0
        /// What the vCPU slept since.
        static let halted: Int16 = 8
        /// The number of the thread's first slot, 32 bits, and of the slot of the exit in progress.
        static let first: Int16 = 16
        static let slot: Int16 = 20
        /// 0, or 1 more than the time from the exit to the first return of KVM_RUN.
        static let toUser: Int16 = 24
        /// Whether that return was an error, such as EINTR, and so no exit that KVM passed on.
        static let interrupted: Int16 = 32
        /// Where places are kept: the instruction's address and what the exit is about, and how many exits found no room.
        static let address: Int16 = 40
        static let detail: Int16 = 48
        static let lost: Int16 = 56
        /// How many events the thread's ring has got, and the number of its first one, 32 bits; 0 without rings.
        static let ringCount: Int16 = 64
        static let ringFirst: Int16 = 72
    }

    /// Places on the stack.
    enum Stack {
        /// The thread and its group, as a namespace has them: 32 bits each.
        static let thread: Int16 = -8
        static let group: Int16 = -4
        /// The key of a look-up, 32 bits.
        static let key: Int16 = -16
        /// EXITINFO1, or the address of a VMCB, or VMX's reason.
        static let info: Int16 = -24
        /// SVM's exit code, in front of EXITINFO1.
        static let code: Int16 = -32
        /// The key of a place, see ``ExitPlace``, and its value.
        static let place: Int16 = -56
        static let placeValue: Int16 = -408
        /// What is kept of a new thread: as long as ``Thread/size``.
        static let newThread: Int16 = -136
    }

    let access: Access
    let process: Process
    /// nil where all threads are added beforehand.
    let newcomers: Newcomers?
    let threadMap: Int32
    /// A slot for each place and reason; where there are newcomers, one more for lost exits.
    let slotMap: Int32
    /// Where the places are counted that exits come from; nil to leave them out.
    let placeMap: Int32?
    /// Where to keep the exits one by one that KVM settled; nil not to.
    let ring: ExitRing?

    private typealias Slot = ExitSlot.Offset

    /// The program for a tracepoint.
    func program(for tracepoint: Tracepoint) -> [ckvm_bpf_instruction] {
        var code = BPFAssembler()
        let out = code.makeLabel()
        findThread(&code, out, tracepoint)
        switch tracepoint {
        case .exit: countExit(&code, out)
        case .entry: finishExit(&code, out)
        case .userspaceExit: noteUserspaceExit(&code, out)
        case .wakeup: noteSleep(&code)
        case .msr, .cpuid, .port, .mmio, .pageFault: noteDetail(tracepoint, &code)
        }
        // 1, so that other users of the tracepoint still get their events.
        code.place(out)
        code.move(.r0, 1)
        code.exit()
        return code.instructions
    }

    /// r6 = record, r7 = thread; leaves for threads that are not ours.
    private func findThread(_ code: inout BPFAssembler, _ out: BPFLabel, _ tracepoint: Tracepoint) {
        code.move(.r6, .r1)
        if let namespace = process.namespace {
            code.move(.r1, wide: namespace.device)
            code.move(.r2, wide: namespace.inode)
            code.address(.r3, ofStack: Stack.thread)
            code.move(.r4, 8)
            code.call(.currentThreadInNamespace)
            code.jump(.r0, .notEqual, 0, to: out)
            code.load(.word, .r1, from: .stack, Stack.group)
            code.jump(.r1, .notEqual, process.number, to: out)
            code.load(.word, .r1, from: .stack, Stack.thread)
            code.store(.word, .r1, to: .stack, Stack.key)
        } else {
            // r0 = group << 32 | thread
            code.call(.currentThread)
            code.move(.r1, .r0)
            code.compute(.shiftRight, .r1, 32)
            code.jump(.r1, .notEqual, process.number, to: out)
            code.store(.word, .r0, to: .stack, Stack.key)
        }
        if let newcomers, tracepoint == .exit {
            let isKnown = code.makeLabel()
            lookUp(threadMap, &code)
            code.jump(.r0, .notEqual, 0, to: isKnown)
            takeIn(newcomers, &code, out)
            code.place(isKnown)
        } else {
            lookUp(threadMap, &code, out)
        }
        code.move(.r7, .r0)
    }

    /// r0 = the value for the key on the stack; leaves when there is none.
    func lookUp(_ map: Int32, _ code: inout BPFAssembler, _ out: BPFLabel) {
        lookUp(map, &code)
        code.jump(.r0, .equal, 0, to: out)
    }

    /// r0 = the value for the key on the stack, or 0 when there is none.
    private func lookUp(_ map: Int32, _ code: inout BPFAssembler) {
        code.move(.r1, map: map)
        code.address(.r2, ofStack: Stack.key)
        code.call(.lookUpElement)
    }

    /// *(base + field) += register; r1 is lost.
    func add(_ register: BPFRegister, to field: Int16, of base: BPFRegister = .r0, _ code: inout BPFAssembler) {
        guard !sharesSlots else { return code.addAtomically(register, to: base, field) }
        code.load(.r1, from: base, field)
        code.compute(.add, .r1, register)
        code.store(.r1, to: base, field)
    }

    /// *(r0 + field) += 1; r1 is lost.
    func increment(_ field: Int16, _ code: inout BPFAssembler) {
        guard !sharesSlots else {
            code.move(.r1, 1)
            return code.addAtomically(.r1, to: .r0, field)
        }
        code.load(.r1, from: .r0, field)
        code.compute(.add, .r1, 1)
        code.store(.r1, to: .r0, field)
    }

    /// Whether several threads may write to one slot: a watched process may have several machines, each with a vCPU 0.
    private var sharesSlots: Bool { newcomers != nil }
}

// MARK: Threads that nobody has added

extension ExitPrograms {
    /// r0 = what is kept from now on of the thread whose number is the key on the stack; leaves when there is no room.
    private func takeIn(_ newcomers: Newcomers, _ code: inout BPFAssembler, _ out: BPFLabel) {
        let (lost, done) = (code.makeLabel(), code.makeLabel())
        readVCPUNumber(newcomers, &code, lost)
        code.jump(.r8, .greaterOrEqual, newcomers.placeCount, to: lost)
        code.compute(.multiply, .r8, Int32(ExitReasonIndex.count))
        for offset in stride(from: 0, to: Int16(Thread.size), by: 8) {
            code.store(0, to: .stack, Stack.newThread + offset)
        }
        code.store(.word, .r8, to: .stack, Stack.newThread + Thread.first)
        code.move(.r1, map: threadMap)
        code.address(.r2, ofStack: Stack.key)
        code.address(.r3, ofStack: Stack.newThread)
        code.move(.r4, 0)
        code.call(.updateElement)
        lookUp(threadMap, &code)
        code.jump(.r0, .notEqual, 0, to: done)

        code.place(lost)
        code.move(.r1, newcomers.placeCount)
        code.compute(.multiply, .r1, Int32(ExitReasonIndex.count))
        code.store(.word, .r1, to: .stack, Stack.key)
        lookUp(slotMap, &code, out)
        increment(Slot.count, &code)
        code.jump(to: out)
        code.place(done)
    }

    /// r8 = the number of the vCPU that exits.
    private func readVCPUNumber(_ newcomers: Newcomers, _ code: inout BPFAssembler, _ lost: BPFLabel) {
        guard case .raw = access else {
            return code.load(.word, .r8, from: .r6, Int16(truncatingIfNeeded: newcomers.vcpuNumber))
        }
        // r3 = the vCPU, which is the first argument or, behind the reason, the second.
        let isVCPU = code.makeLabel()
        code.store(0, to: .stack, Stack.info)
        code.load(.r3, from: .r6, 0)
        code.move(.r1, .r3)
        code.compute(.shiftRight, .r1, 32)
        code.jump(.r1, .notEqual, 0, to: isVCPU)
        code.load(.r3, from: .r6, 8)
        code.place(isVCPU)
        code.compute(.add, .r3, newcomers.vcpuNumber)
        read(4, to: Stack.info, &code)
        code.jump(.r0, .notEqual, 0, to: lost)
        code.load(.word, .r8, from: .stack, Stack.info)
    }
}

// MARK: kvm_exit

extension ExitPrograms {
    /// Counts the exit, and notes when it began.
    private func countExit(_ code: inout BPFAssembler, _ out: BPFLabel) {
        readReason(&code)
        makeIndex(&code)
        // The slot: the thread's first plus the index.
        code.load(.word, .r1, from: .r7, Thread.first)
        code.compute(.add, .r8, .r1)
        code.store(.word, .r8, to: .r7, Thread.slot)
        code.store(.word, .r8, to: .stack, Stack.key)
        code.call(.nanoseconds)
        code.store(.r0, to: .r7, Thread.since)
        code.store(0, to: .r7, Thread.halted)
        code.store(0, to: .r7, Thread.toUser)
        if placeMap != nil { noteAddress(&code) }
        lookUp(slotMap, &code, out)
        increment(Slot.count, &code)
    }

    /// r8 = the reason, r2 = EXITINFO1 where there is one.
    private func readReason(_ code: inout BPFAssembler) {
        switch access {
        case .raw(let processorExtension, let member): readRawReason(processorExtension, member, &code)
        case .classic(let layout):
            let isSVM = code.makeLabel()
            code.load(.word, .r8, from: .r6, layout.reason)
            code.load(.r2, from: .r6, layout.info1)
            code.load(.word, .r1, from: .r6, layout.extensionNumber)
            code.jump(.r1, .notEqual, Int32(ProcessorExtension.vmx.rawValue), to: isSVM)
            // The high half are flags; and no number of VMX is looked at further.
            code.compute(.and, .r8, 0xffff)
            code.move(.r2, 1)
            code.place(isSVM)
        }
    }

    /// Until Linux 5.15 the arguments are reason, vCPU, extension; since then vCPU, extension. A reason has at most 32
    /// bits, which no address in the kernel has.
    private func readRawReason(
        _ processorExtension: ProcessorExtension, _ member: Int32?, _ code: inout BPFAssembler
    ) {
        let done = code.makeLabel()
        code.store(1, to: .stack, Stack.info)
        code.store(0, to: .stack, Stack.code)
        code.load(.r8, from: .r6, 0)
        code.move(.r3, .r8)
        code.compute(.shiftRight, .r3, 32)
        code.jump(.r3, .equal, 0, to: done)
        // Unknown, if there is nothing to be read.
        code.move(.r8, -2)
        if let member {
            // The vCPU's structure starts with what all of KVM has of a vCPU, so the argument is its address.
            code.load(.r3, from: .r6, 0)
            code.compute(.add, .r3, member)
            read(processorExtension == .svm ? 8 : 4, to: Stack.info, &code)
            switch processorExtension {
            case .vmx:
                code.load(.word, .r8, from: .stack, Stack.info)
                code.store(1, to: .stack, Stack.info)
            case .svm:
                code.load(.r3, from: .stack, Stack.info)
                // The VMCB, for the instruction's address.
                if placeMap != nil { code.store(.r3, to: .r7, Thread.address) }
                code.compute(.add, .r3, Self.vmcbExitCode)
                read(16, to: Stack.code, &code)
                code.load(.word, .r8, from: .stack, Stack.code)
            }
        }
        code.place(done)
        if processorExtension == .vmx { code.compute(.and, .r8, 0xffff) }
        code.load(.r2, from: .stack, Stack.info)
    }

    /// Where a VMCB has its exit code, and EXITINFO1 behind it. Source: AMD APM, volume 2, appendix B.
    static let vmcbExitCode: Int32 = 0x70

    /// Copies from the kernel's memory at r3 to the stack.
    func read(_ size: Int32, to place: Int16, _ code: inout BPFAssembler) {
        code.address(.r1, ofStack: place)
        code.move(.r2, size)
        code.call(.readKernelMemory)
    }

    /// r8 = the index of the reason in r8, with EXITINFO1 in r2. See ``ExitReasonIndex``.
    private func makeIndex(_ code: inout BPFAssembler) {
        let (notMSR, notFault, other, done) = (
            code.makeLabel(), code.makeLabel(), code.makeLabel(), code.makeLabel()
        )
        code.jump(.r8, .notEqual, ExitReasonIndex.SVMCode.msr, to: notMSR)
        code.compute(.and, .r2, 1)
        code.jump(.r2, .notEqual, 0, to: done)
        code.move(.r8, ExitReasonIndex.rdmsr)
        code.jump(to: done)

        code.place(notMSR)
        code.jump(.r8, .notEqual, ExitReasonIndex.SVMCode.nestedPageFault, to: notFault)
        code.compute(.and, .r2, 8)
        code.jump(.r2, .equal, 0, to: notFault)
        code.move(.r8, ExitReasonIndex.mmio)
        code.jump(to: done)

        code.place(notFault)
        code.jump(.r8, .less, ExitReasonIndex.nestedPaging, to: done)
        // Unsigned: what is below 0x400 is too large now.
        code.compute(.subtract, .r8, ExitReasonIndex.SVMCode.nestedPageFault)
        code.jump(.r8, .greaterOrEqual, ExitReasonIndex.nestedPagingCount, to: other)
        code.compute(.add, .r8, ExitReasonIndex.nestedPaging)
        code.jump(to: done)

        code.place(other)
        code.move(.r8, ExitReasonIndex.other)
        code.place(done)
    }
}

// MARK: The other tracepoints

extension ExitPrograms {
    /// Books the time of the exit that the guest is entered after.
    private func finishExit(_ code: inout BPFAssembler, _ out: BPFLabel) {
        let (kernel, awake, notLongest) = (code.makeLabel(), code.makeLabel(), code.makeLabel())
        code.load(.r8, from: .r7, Thread.since)
        code.jump(.r8, .equal, 0, to: out)
        // r9 = what it took, all in all
        code.call(.nanoseconds)
        code.move(.r9, .r0)
        code.compute(.subtract, .r9, .r8)
        code.store(0, to: .r7, Thread.since)
        code.load(.word, .r1, from: .r7, Thread.slot)
        code.store(.word, .r1, to: .stack, Stack.key)
        lookUp(slotMap, &code, out)
        increment(Slot.finished, &code)
        add(.r9, to: Slot.nanoseconds, &code)
        // r3 = what the vCPU slept
        code.load(.r3, from: .r7, Thread.halted)
        add(.r3, to: Slot.nanosecondsHalted, &code)
        code.load(.r2, from: .r7, Thread.toUser)
        code.jump(.r2, .equal, 0, to: kernel)
        // KVM_RUN has returned in between: the kernel's share is up to then.
        code.compute(.subtract, .r2, 1)
        code.move(.r9, .r2)
        code.load(.r1, from: .r7, Thread.interrupted)
        code.jump(.r1, .notEqual, 0, to: kernel)
        add(.r2, to: Slot.nanosecondsToUser, &code)
        code.jump(to: out)

        // KVM has settled it: r9 is its time, sleep taken off.
        code.place(kernel)
        code.jump(.r9, .greaterOrEqual, .r3, to: awake)
        code.move(.r3, .r9)
        code.place(awake)
        code.compute(.subtract, .r9, .r3)
        add(.r9, to: Slot.nanosecondsKernel, &code)
        code.load(.r1, from: .r0, Slot.maximum)
        code.jump(.r1, .greaterOrEqual, .r9, to: notLongest)
        code.store(.r9, to: .r0, Slot.maximum)
        code.place(notLongest)
        countInHistogram(at: Slot.histogram, &code)
        if let ring { keepInRing(ring, &code, out) }
        if let placeMap { countPlace(placeMap, &code, out) }
    }

    /// Counts the time in r9 in the histogram that stands behind r0: r2 = its logarithm, at most 31. r0 is lost.
    ///
    /// The kernel's verifier follows every way through the program, so that there are no branches: a comparison is the
    /// sign of a difference.
    func countInHistogram(at offset: Int16, _ code: inout BPFAssembler) {
        let fits = code.makeLabel()
        // r1 = r9, or the largest number of 32 bits
        code.move(.r3, .r9)
        code.compute(.shiftRight, .r3, 32)
        code.move(.r1, .r9)
        code.jump(.r3, .equal, 0, to: fits)
        code.move(.r1, -1)
        code.compute(.shiftRight, .r1, 32)
        code.place(fits)
        code.move(.r2, 0)
        for shift: Int32 in [16, 8, 4, 2, 1] {
            // r3 = r1 >= 2^shift ? shift : 0
            code.move(.r3, wide: (1 << UInt64(shift)) - 1)
            code.compute(.subtract, .r3, .r1)
            code.compute(.shiftRight, .r3, 63)
            code.compute(.multiply, .r3, shift)
            code.compute(.shiftRight, .r1, .r3)
            code.compute(.add, .r2, .r3)
        }
        // For the verifier, which does not see that it is less.
        code.compute(.and, .r2, Int32(ExitSlot.bucketCount - 1))
        code.compute(.shiftLeft, .r2, 3)
        code.compute(.add, .r0, .r2)
        increment(offset, &code)
    }

    /// Notes that KVM_RUN returns: KVM passes the exit on, or is interrupted.
    private func noteUserspaceExit(_ code: inout BPFAssembler, _ out: BPFLabel) {
        let interrupted = code.makeLabel()
        code.load(.r8, from: .r7, Thread.since)
        code.jump(.r8, .equal, 0, to: out)
        // A second return without an entry between, as `immediate_exit` makes it, is no exit.
        code.load(.r1, from: .r7, Thread.toUser)
        code.jump(.r1, .notEqual, 0, to: out)
        code.call(.nanoseconds)
        code.compute(.subtract, .r0, .r8)
        code.compute(.add, .r0, 1)
        code.store(.r0, to: .r7, Thread.toUser)
        // r1 = the error, negative if there is one; the raw arguments are reason, error.
        code.load(.word, .r1, from: .r6, errorOffset)
        code.compute(.shiftLeft, .r1, 32)
        code.compute(.shiftRightArithmetic, .r1, 32)
        code.jump(.r1, .signedLess, 0, to: interrupted)
        code.store(0, to: .r7, Thread.interrupted)
        code.load(.word, .r1, from: .r7, Thread.slot)
        code.store(.word, .r1, to: .stack, Stack.key)
        lookUp(slotMap, &code, out)
        increment(Slot.user, &code)
        code.jump(to: out)
        code.place(interrupted)
        code.store(1, to: .r7, Thread.interrupted)
    }

    /// Adds up what the vCPU slept: nobody's work.
    private func noteSleep(_ code: inout BPFAssembler) {
        code.load(.r2, from: .r6, sleepOffset)
        add(.r2, to: Thread.halted, of: .r7, &code)
    }

    private var errorOffset: Int16 {
        if case .classic(let layout) = access { layout.error } else { 8 }
    }

    private var sleepOffset: Int16 {
        if case .classic(let layout) = access { layout.nanoseconds } else { 0 }
    }
}
