@testable import KVM
@testable import Memory
@testable import MiniVMM

/// What is read of a guest's memory as the processor would.
enum ProcessorTargets {
    /// Memory that has words of an input in it, and nothing of the input before.
    private struct Pages {
        private static let low = [UInt8](repeating: 0, count: 0x1_0000)
        private static let high = [UInt8](repeating: 0, count: 0x1000)
        private static let highStart = GuestPhysicalAddress(1 << 32)
        let memory: GuestMemory

        init() throws {
            // The second region lies behind the first in this process, and far from it in the guest.
            memory = try GuestMemory(layout: [
                (start: GuestPhysicalAddress(0), size: UInt64(Self.low.count)),
                (start: Self.highStart, size: UInt64(Self.high.count)),
            ])
        }

        /// Takes what is left of an input: addresses of 2 bytes, each with a word of 8 bytes.
        func fill(_ input: inout FuzzInput) throws {
            try memory.write(Self.low, at: GuestPhysicalAddress(0))
            try memory.write(Self.high, at: Self.highStart)
            while !input.isEmpty {
                let address = GuestPhysicalAddress(UInt64(input.number(UInt16.self) & ~7))
                try memory.store(input.number(UInt64.self), at: address)
            }
        }
    }

    static func walks() throws -> ([UInt8]) throws -> Void {
        let pages = try Pages()
        return { bytes in
            var input = FuzzInput(bytes)
            let walk = PageWalk(
                cr0: input.number(UInt64.self), cr3: input.number(UInt64.self), cr4: input.number(UInt64.self),
                efer: input.number(UInt64.self))
            let addresses = (0..<4).map { _ in input.number(UInt64.self) }
            try pages.fill(&input)
            for address in addresses {
                let physical = walk.translate(address, in: pages.memory)
                if let physical { check(physical.rawValue & 0xfff == address & 0xfff, "\(physical)") }
                check(walk.bytes(at: address, count: 15, in: pages.memory).count <= 15, "too many bytes")
            }
        }
    }

    static func frames() throws -> ([UInt8]) throws -> Void {
        let pages = try Pages()
        return { bytes in
            var input = FuzzInput(bytes)
            let how = input.number(UInt8.self)
            var general = GeneralRegisters()
            general.rip = input.number(UInt64.self)
            general.rsp = input.number(UInt64.self)
            let raw = input.bytes(MemoryLayout<SpecialRegisters>.size)
            var special = SpecialRegisters()
            withUnsafeMutableBytes(of: &special) { $0.copyBytes(from: raw) }
            try pages.fill(&input)
            let patches = HandlerPatches(memory: pages.memory, port: SiteTrap.candidatePorts[0])
            let trap = FaultTrap(
                memory: pages.memory, mechanism: how & 1 == 0 ? .patch(patches) : .debugRegister,
                usesInterruptReturn: how & 8 != 0)
            trap.follow(special)
            for round in 0..<3 {
                switch trap.verdict(general, special) {
                case .cpuid(let interrupted):
                    check((2...15).contains(interrupted.length), "\(interrupted.length)")
                    _ = trap.resume(interrupted, &general, &special)
                case .genuine: trap.goOn(&general)
                case .notOurs: break
                }
                // The guest rewrites its handler, or its gate.
                let place = GuestPhysicalAddress(round == 0 ? general.rip : special.idt.base &+ 13 * 16)
                if how & 2 != 0 { try? pages.memory.store(UInt64(how) &* 0x0101_0101, at: place) }
                _ = trap.writeFeatures(UInt64(how >> 4 & 1))
                trap.follow(how & 4 == 0 ? nil : special)
            }
        }
    }
}
