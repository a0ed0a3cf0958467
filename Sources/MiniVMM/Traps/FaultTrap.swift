import CKVM
import KVM
import Memory

/// The fault trap: brings out the CPUID of programs, at privilege level 3, under an unmodified guest operating system.
///
/// With CPUID faulting on, KVM raises #GP for such a CPUID. The first instruction of the guest's #GP handler exits to
/// MiniVMM, which looks at the frame that the processor pushed: a CPUID of a program is answered, and the program goes
/// on after it; every other #GP goes on into the handler as if nothing had happened. What exits is a debug register, or
/// an OUT in place of the handler's first two bytes.
///
/// The trap follows the guest: its interrupt descriptor table moves and its #GP gate changes several times during boot,
/// and a kernel rewrites its own handler, over the OUT. So after every exit the gate and the two bytes are compared
/// with what is known of them.
///
/// Each vCPU has a fault trap of its own, for its own thread; what stands in the guest's memory is shared.
package final class FaultTrap {
    /// What makes the handler exit.
    package enum Mechanism: Sendable {
        /// An OUT to a port that no device has, in place of its first two bytes.
        case patch(HandlerPatches)
        /// A breakpoint in a debug register. The guest's own debug registers have no effect while it is set.
        case debugRegister
    }

    /// The handler that the trap is at.
    private struct Armed {
        let idtBase: UInt64
        let gateAddress: GuestPhysicalAddress
        let gate: InterruptGate
        let handler: UInt64
        let handlerAddress: GuestPhysicalAddress
        /// The linear address of an IRETQ near the handler, if there is one.
        let interruptReturn: UInt64?
    }

    /// What is to become of an exit that may be the trap's.
    enum Verdict {
        /// It is not at the handler: the guest's own doing.
        case notOurs
        /// A program's CPUID, to be answered.
        case cpuid(Interrupted)
        /// Any other #GP: the handler goes on.
        case genuine
    }

    /// The program that a CPUID interrupted.
    struct Interrupted {
        let frame: ExceptionFrame
        let code: SegmentRegister
        let wayBack: WayBack
        /// The length of the instruction, in bytes.
        let length: Int
    }

    /// How a program goes on after its CPUID.
    enum WayBack {
        /// By an IRETQ of the guest's own, at a linear address: then no segment register is to be set, which costs KVM
        /// more than all else that is done for a CPUID.
        case interruptReturn(UInt64)
        /// By its registers, with the stack segment that the frame names.
        case registers(stack: SegmentRegister)
    }

    private let memory: GuestMemory
    private let mechanism: Mechanism
    /// Whether the guest's own IRETQ may take programs back.
    private let usesInterruptReturn: Bool
    private var armed: Armed?
    /// The guest's own value of MSR_MISC_FEATURES_ENABLES, which it never sees replaced.
    private(set) var guestFeatures: UInt64 = 0
    /// The exits since the descriptor table's address was compared.
    private var exitsSinceCheck = 0

    /// The address of the descriptor table is asked for at every exit until a program's CPUID was answered, and then
    /// at one exit of this many: a guest that has come so far has its final table, and gate and handler are compared
    /// without it.
    private static let exitsPerCheck = 256
    private var hasServed = false
    /// Where Linux has its descriptor table from the time on at which it has set up its interrupts, long before the first
    /// program: what is found there is the final one, and not asked for at every exit either. A kernel that has it
    /// elsewhere is asked until a program was served. Source: Linux, arch/x86/include/asm/cpu_entry_area.h,
    /// CPU_ENTRY_AREA_RO_IDT; arch/x86/kernel/idt.c, idt_setup_apic_and_irq_gates().
    static let finalTable: UInt64 = 0xffff_fe00_0000_0000

    /// The exits after an answer that bring the registers along.
    private var afterAnswer = ExitsAfterAnswer()

    /// - Parameter usesInterruptReturn: Whether the guest's own IRETQ may take programs back: it has to work on this host,
    ///   and single steps would be lost by it.
    init(memory: GuestMemory, mechanism: Mechanism, usesInterruptReturn: Bool = false) {
        self.memory = memory
        self.usesInterruptReturn = usesInterruptReturn
        self.mechanism = mechanism
        if case .patch(let patches) = mechanism { portNumber = Int32(patches.port) } else { portNumber = -1 }
    }

    /// The OUTs, where they are the mechanism.
    private var patches: HandlerPatches? {
        if case .patch(let patches) = mechanism { patches } else { nil }
    }

    /// The port of the OUT, or -1 where there is none.
    let portNumber: Int32

    /// The linear address of the breakpoint, where there is one.
    var breakpoint: UInt64? { patches == nil ? armed?.handler : nil }

    // MARK: Following the guest

    /// Whether the segment and control registers should be at hand after the next exit.
    var wantsSpecialRegisters: Bool {
        !hasServed || afterAnswer.areLeft || exitsSinceCheck >= Self.exitsPerCheck
    }

    /// Looks after the trap, after an exit.
    ///
    /// - Parameter special: The segment and control registers, where they are at hand.
    func follow(_ special: SpecialRegisters?) {
        exitsSinceCheck &+= 1
        afterAnswer.follow()
        guard let special else {
            repair()
            return
        }
        exitsSinceCheck = 0
        if let armed, armed.idtBase == special.idt.base, isCurrent(armed) {
            repair()
        } else {
            rearm(special)
        }
    }

    /// Whether the gate still says what it said.
    private func isCurrent(_ armed: Armed) -> Bool {
        gate(at: armed.gateAddress) == armed.gate
    }

    /// Puts the OUT back where the guest has written over it.
    private func repair() {
        guard let armed else { return }
        guard isCurrent(armed) else {
            // To be looked at with the registers after the next exit.
            exitsSinceCheck = Self.exitsPerCheck
            return
        }
        if let patches, !patches.stands(at: armed.handlerAddress) { patches.repair(at: armed.handlerAddress) }
    }

    /// Finds the handler anew and moves the trap there.
    private func rearm(_ special: SpecialRegisters) {
        if let armed { patches?.remove(at: armed.handlerAddress) }
        armed = nil
        guard special.efer & RegisterBits.eferLongModeActive != 0 else { return }
        let walk = special.pageWalk
        let offset = InterruptGate.generalProtection * InterruptGate.size
        guard offset + InterruptGate.size - 1 <= UInt64(special.idt.limit),
            let gateAddress = walk.translate(special.idt.base &+ offset, in: memory),
            let gate = gate(at: gateAddress), gate.isUsable,
            let handlerAddress = walk.translate(gate.handler, in: memory),
            // A patch across two pages would need two addresses. Handlers are aligned.
            handlerAddress.rawValue % GuestMemory.pageSize < GuestMemory.pageSize - UInt64(HandlerPatches.size),
            patches?.add(at: handlerAddress) ?? true
        else { return }
        armed = Armed(
            idtBase: special.idt.base, gateAddress: gateAddress, gate: gate, handler: gate.handler,
            handlerAddress: handlerAddress,
            interruptReturn: usesInterruptReturn ? interruptReturn(near: gate.handler, walk) : nil)
        if special.idt.base == Self.finalTable { hasServed = true }
    }

    /// The two bytes of IRETQ, REX.W first. Source: Intel SDM, volume 2, "IRET/IRETD/IRETQ".
    private static let interruptReturnWord: UInt16 = 0xcf48
    /// Where an IRETQ is looked for: in these pages from the handler's on, in this order. Linux has its entry code, a few
    /// pages of it, in one place that is mapped whatever page tables are in use.
    private static let pagesToSearch: [Int64] = [0, 1, -1, 2, -2, 3, -3, 4]

    /// The linear address of an IRETQ in executable memory near the handler.
    private func interruptReturn(near handler: UInt64, _ walk: PageWalk) -> UInt64? {
        let pageSize = GuestMemory.pageSize
        for number in Self.pagesToSearch {
            let page = (handler & ~(pageSize - 1)) &+ UInt64(bitPattern: number &* Int64(pageSize))
            guard let address = walk.translateCode(page, in: memory),
                let bytes = try? memory.bytes(at: address, count: Int(pageSize))
            else { continue }
            let place = (0..<bytes.count - 1).first {
                UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 == Self.interruptReturnWord
            }
            if let place { return page &+ UInt64(place) }
        }
        return nil
    }

    private func gate(at address: GuestPhysicalAddress) -> InterruptGate? {
        guard let low = try? memory.load(UInt64.self, at: address),
            let high = try? memory.load(UInt64.self, at: address &+ 8)
        else { return nil }
        return InterruptGate(low: low, high: high)
    }

    // MARK: Serving

    /// Looks at an exit that may be the trap's: an OUT to its port, or a breakpoint.
    func verdict(_ general: GeneralRegisters, _ special: SpecialRegisters) -> Verdict {
        guard special.isCode64Bit else { return .notOurs }
        // Another vCPU may have put the OUT there, and this one not have exited since.
        if !isAtHandler(general.rip) { follow(special) }
        guard isAtHandler(general.rip) else { return .notOurs }
        let walk = special.pageWalk
        guard guestFeatures & ModelSpecificRegister.cpuidFaulting == 0,
            let frame = ExceptionFrame(at: general.rsp, walk: walk, memory: memory),
            frame.errorCode == 0, frame.isFromUser,
            let code = GuestDescriptor.segment(
                for: frame.codeSelector, special: special, walk: walk, memory: memory),
            let length = cpuidLength(frame, code, walk), let wayBack = wayBack(frame, special, walk)
        else { return .genuine }
        hasServed = true
        afterAnswer.begin()
        return .cpuid(Interrupted(frame: frame, code: code, wayBack: wayBack, length: length))
    }

    /// How the program goes on.
    ///
    /// - Returns: nil when its stack segment is none.
    private func wayBack(_ frame: ExceptionFrame, _ special: SpecialRegisters, _ walk: PageWalk) -> WayBack? {
        // IRETQ delays the #DB of a program that steps itself by an instruction. What else a kernel does before its own
        // IRETQ, it does for stack segments of the local table.
        if let address = armed?.interruptReturn, frame.place != nil, frame.rflags & RegisterBits.rflagsTrap == 0,
            frame.stackSelector & GuestDescriptor.localTable == 0,
            let place = walk.translateCode(address, in: memory),
            (try? memory.load(UInt16.self, at: place)) == Self.interruptReturnWord
        {
            return .interruptReturn(address)
        }
        return GuestDescriptor.segment(for: frame.stackSelector, special: special, walk: walk, memory: memory)
            .map(WayBack.registers)
    }

    /// Whether an instruction pointer is at the handler: after the OUT when KVM's emulator ran it, else at it.
    private func isAtHandler(_ rip: UInt64) -> Bool {
        guard let armed else { return false }
        return rip == armed.handler || (patches != nil && rip == armed.handler &+ UInt64(HandlerPatches.size))
    }

    /// The length of the CPUID at the interrupted instruction pointer, or nil when there is none.
    private func cpuidLength(_ frame: ExceptionFrame, _ code: SegmentRegister, _ walk: PageWalk) -> Int? {
        let is64Bit = code.l != 0
        let linear = is64Bit ? frame.rip : UInt64(UInt32(truncatingIfNeeded: code.base &+ frame.rip))
        let window = InstructionWindow(at: linear, walk: walk, memory: memory)
        let prefixes = window.prefixCount(is64Bit: is64Bit)
        guard window[prefixes] == CPUIDSites.opcode[0], window[prefixes &+ 1] == CPUIDSites.opcode[1] else {
            return nil
        }
        return prefixes &+ CPUIDSites.opcode.count
    }

    /// Puts the registers after the program's CPUID, or has the guest's IRETQ put them there. Those that CPUID changes are
    /// set already.
    ///
    /// - Returns: Whether the special registers were changed.
    func resume(
        _ interrupted: Interrupted, _ general: inout GeneralRegisters, _ special: inout SpecialRegisters
    ) -> Bool {
        let frame = interrupted.frame
        let unbounded = frame.rip &+ UInt64(interrupted.length)
        let next = interrupted.code.l != 0 ? unbounded : UInt64(UInt32(truncatingIfNeeded: unbounded))
        // RF is set in the image that a fault pushes, and clear after an instruction.
        let flags = frame.rflags & ~RegisterBits.rflagsResume
        switch interrupted.wayBack {
        case .interruptReturn(let address):
            frame.write(rip: next, rflags: flags, to: memory)
            general.rip = address
            // The error code comes off the stack.
            general.rsp = general.rsp &+ 8
            return false
        case .registers(let stack):
            general.rip = next
            general.rsp = frame.rsp
            general.rflags = flags
            special.cs = interrupted.code
            special.ss = stack
            return true
        }
    }

    /// Puts the registers after the instructions that the trap stands in for, as if they had been executed; or, where
    /// a breakpoint stands at others, lets them run past it.
    func goOn(_ general: inout GeneralRegisters) {
        guard let armed, let displaced = displaced(armed) else {
            general.rflags |= RegisterBits.rflagsResume
            return
        }
        general.rip = armed.handler &+ UInt64(displaced.length)
        general.rflags &= ~displaced.clearedFlags
    }

    private func displaced(_ armed: Armed) -> DisplacedInstructions? {
        if let patches { return patches.displaced(at: armed.handlerAddress) }
        let code = try? memory.bytes(at: armed.handlerAddress, count: InstructionWindow.longestInstruction)
        return code.flatMap { DisplacedInstructions($0, patchSize: 1) }
    }

    // MARK: The guest's own CPUID faulting

    /// Takes the guest's write to MSR_MISC_FEATURES_ENABLES.
    ///
    /// - Returns: Whether the processor would have taken it: it has no other bit than CPUID faulting.
    func writeFeatures(_ value: UInt64) -> Bool {
        guard value & ~ModelSpecificRegister.cpuidFaulting == 0 else { return false }
        guestFeatures = value
        return true
    }
}
