import KVM
import Memory
import MiniVMM

/// The breakpoints and watchpoints that a debugger has set, and by what means each stops the guest.
///
/// A debug register is what costs nothing while the guest runs. There are four, and not every host has them; then a step
/// after every instruction stands in, which is exact and slow. A breakpoint in ring 0 can be an instruction that exits.
struct PointTable {
    /// The kinds of points, by their numbers in the protocol's packets Z and z.
    enum Kind: UInt64 {
        case software = 0
        case hardware = 1
        case write = 2
        case read = 3
        case access = 4
    }

    struct Point: Hashable {
        let kind: Kind
        let address: UInt64
        let length: UInt64
    }

    /// By what a point stops the guest.
    private enum Means {
        case register([DebugPoint])
        case steps
        /// INT3, or an OUT, at this physical address.
        case instruction(GuestPhysicalAddress)
    }

    /// What came of setting one.
    enum Outcome: Equatable {
        case set
        /// There is no room for it, or no memory.
        case refused
        /// This host cannot have any of its kind.
        case unknown
    }

    private let support: DebugSupport
    private var means: [Point: Means] = [:]
    /// The bytes under what is in the guest's memory instead.
    private var displaced: [(address: GuestPhysicalAddress, bytes: [UInt8])] = []

    /// How many points there may be, and how long one.
    private static let maximumCount = 1024
    private static let maximumLength: UInt64 = 4096
    private static let int3: [UInt8] = [0xcc]
    /// What stands for a breakpoint in the guest's memory.
    private var instruction: [UInt8] { support.softwareBreakpoints ? Self.int3 : DebugControl.Points.patch }

    init(support: DebugSupport) {
        self.support = support
    }

    private var usedRegisters: [DebugPoint] {
        means.values.flatMap { means -> [DebugPoint] in
            if case .register(let points) = means { points } else { [] }
        }
    }

    /// Sets a point; one that there is already, too.
    ///
    /// - Parameters:
    ///   - physical: Where the address is in memory, if it is.
    ///   - isKernel: Whether the code there runs in ring 0, where an OUT exits.
    mutating func set(
        _ point: Point, physical: GuestPhysicalAddress?, isKernel: Bool = true, in memory: GuestMemory
    ) -> Outcome {
        guard means[point] == nil else { return .set }
        let isWatch = point.kind != .software && point.kind != .hardware
        guard means.count < Self.maximumCount, !isWatch || (1...Self.maximumLength).contains(point.length) else {
            return .refused
        }
        if point.kind == .software, support.softwareBreakpoints {
            guard let physical, memory.contains(physical, byteCount: 1) else { return .refused }
            means[point] = .instruction(physical)
            return .set
        }
        let registers = Self.registers(for: point)
        let hasRegisters = isWatch ? support.watchpoints : support.breakpoints
        if hasRegisters, usedRegisters.count + registers.count <= DebugRegisters.breakpointCount {
            means[point] = .register(registers)
            return .set
        }
        if point.kind == .software, support.patches, isKernel, let physical, canHold(physical, memory) {
            means[point] = .instruction(physical)
            return .set
        }
        // A step does not tell what was read.
        let canStep = support.steps && (!isWatch || point.kind == .write)
        guard canStep else { return hasRegisters ? .refused : .unknown }
        means[point] = .steps
        return .set
    }

    /// Whether the breakpoint's bytes fit: in one page, as the next may be elsewhere, and without another breakpoint's.
    private func canHold(_ address: GuestPhysicalAddress, _ memory: GuestMemory) -> Bool {
        let length = UInt64(instruction.count)
        guard memory.contains(address, byteCount: length),
            address.rawValue % GuestMemory.pageSize <= GuestMemory.pageSize - length
        else { return false }
        return !means.values.contains { means in
            guard case .instruction(let other) = means else { return false }
            return other.rawValue < address.rawValue + length && address.rawValue < other.rawValue + length
        }
    }

    /// Takes a point away, if there is one.
    mutating func remove(_ point: Point) {
        means[point] = nil
    }

    /// Takes all away.
    mutating func removeAll() {
        means = [:]
    }

    /// The registers that watch a point: as many as it takes to cover it with aligned stretches of 1, 2, 4 or 8 bytes.
    private static func registers(for point: Point) -> [DebugPoint] {
        let access: DebugPoint.Access =
            switch point.kind {
            case .software, .hardware: .execute
            case .write: .write
            case .read, .access: .readWrite
            }
        guard access != .execute else { return [DebugPoint(.execute, at: point.address)] }
        var result: [DebugPoint] = []
        var address = point.address
        var left = point.length
        while left > 0, result.count <= DebugRegisters.breakpointCount {
            let lengths: [UInt64] = [8, 4, 2, 1]
            let length = lengths.first { $0 <= left && address % $0 == 0 } ?? 1
            result.append(DebugPoint(access, at: address, length: length))
            address &+= length
            left -= length
        }
        return result
    }

    // MARK: While the guest runs

    /// What the vCPUs stop at, with what stands for breakpoints put into the guest's memory.
    ///
    /// - Parameter places: The linear addresses that vCPUs are at. What they execute next stays as it is: a breakpoint
    ///   there is found by steps.
    mutating func arm(in memory: GuestMemory, sparing places: Set<UInt64> = []) -> DebugControl.Points {
        var points = DebugControl.Points()
        // In an order that does not change from run to run.
        for point in means.keys.sorted(by: { ($0.address, $0.kind.rawValue) < ($1.address, $1.kind.rawValue) }) {
            switch means[point] {
            case .register(let registers): points.registers += registers
            case .steps where point.kind == .write:
                points.steppedWatches.append(DebugPoint(.write, at: point.address, length: point.length))
            case .steps: points.steppedBreakpoints.insert(point.address)
            case .instruction where places.contains { $0 &- point.address < UInt64(instruction.count) }:
                points.steppedBreakpoints.insert(point.address)
            case .instruction(let address):
                guard let bytes = try? memory.bytes(at: address, count: instruction.count) else { continue }
                displaced.append((address, bytes))
                try? memory.write(instruction, at: address)
                if support.softwareBreakpoints {
                    points.softwareBreakpoints.insert(point.address)
                } else {
                    points.patches.insert(point.address)
                }
            case nil: break
            }
        }
        return points
    }

    /// Takes them out of the guest's memory again, but for what the guest has written over them.
    mutating func disarm(in memory: GuestMemory) {
        for (address, bytes) in displaced.reversed()
        where (try? memory.bytes(at: address, count: bytes.count)) == instruction {
            try? memory.write(bytes, at: address)
        }
        displaced = []
    }

    // MARK: What was hit

    /// Whether a breakpoint at an address is one of the given kind.
    func has(_ kind: Kind, at address: UInt64) -> Bool {
        means.keys.contains { $0.kind == kind && $0.address == address }
    }

    /// The watchpoint that a register's hit belongs to.
    func watch(_ hit: DebugPoint) -> Point? {
        means.first { _, means in if case .register(let points) = means { points.contains(hit) } else { false } }?.key
            ?? means.keys.first { $0.kind == .write && $0.address == hit.address && $0.length == hit.length }
    }
}
