import CKVM
@testable import Counters
@testable import Exec
@testable import KVM
@testable import Memory
@testable import MiniVMM
@testable import TestSupport

/// Asks CPUID a list of questions in 64-bit mode at ring 0.
enum Questions {
    private static let input: UInt64 = 0x10_0000
    private static let output: UInt64 = 0x11_0000

    /// EAX and ECX of a question.
    struct Question: Hashable {
        let leaf: UInt32
        let subleaf: UInt32
    }

    /// RAX, RBX, RCX and RDX of an answer.
    struct Answer: Hashable {
        let rax: UInt64
        let rbx: UInt64
        let rcx: UInt64
        let rdx: UInt64

        init(rax: UInt64, rbx: UInt64, rcx: UInt64, rdx: UInt64) {
            self.rax = rax
            self.rbx = rbx
            self.rcx = rcx
            self.rdx = rdx
        }

        /// An answer whose upper halves are clear.
        init(_ result: CPUIDResult) {
            self.init(
                rax: UInt64(result.eax), rbx: UInt64(result.ebx), rcx: UInt64(result.ecx), rdx: UInt64(result.edx))
        }

        static let zeros = Answer(rax: 0, rbx: 0, rcx: 0, rdx: 0)
    }

    /// What is in the upper halves of RAX and RCX when a question is asked.
    private static let garbage: UInt64 = 0xdead_beef_0000_0000

    /// The answers, and the run that gave them.
    static func ask(
        _ questions: [Question], trap: CPUIDTrap, leaves: CounterLeaves = .f22, exitTypes: ExitNumbering = .sdm
    ) throws -> (answers: [Answer], run: GuestRun) {
        let run = try GuestRun(CounterGuests.questions64, trap: trap, leaves: leaves, exitTypes: exitTypes) { machine in
            try ProcessorMode.long64.enter(machine)
            guard let vcpu = machine.runners.first?.vcpu else { return }
            for (index, question) in questions.enumerated() {
                let address = GuestPhysicalAddress(input + UInt64(index) * 16)
                try machine.parts.memory.store(garbage | UInt64(question.leaf), at: address)
                try machine.parts.memory.store(garbage | UInt64(question.subleaf), at: address &+ 8)
            }
            var registers = try vcpu.registers()
            registers.rsi = input
            registers.rdi = output
            registers.rbp = UInt64(questions.count)
            try vcpu.setRegisters(registers)
        }
        let answers = try questions.indices.map { index in
            func register(_ number: UInt64) throws -> UInt64 {
                try run.memory.load(at: GuestPhysicalAddress(output + UInt64(index) * 32 + number * 8))
            }
            return Answer(rax: try register(0), rbx: try register(1), rcx: try register(2), rdx: try register(3))
        }
        return (answers, run)
    }
}
