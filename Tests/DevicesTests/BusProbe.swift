import Host
import Memory

@testable import Devices
@testable import TestSupport

/// An access as a device sees it.
struct ProbedAccess: Hashable, CustomStringConvertible {
    let device: String
    let offset: UInt64
    let width: AccessWidth
    /// What is written; nil for a read.
    var value: UInt64?

    var description: String { "\(device)[\(offset)] \(width)" + (value.map { " = 0x\(String($0, radix: 16))" } ?? "") }
}

/// All accesses that the devices of a bus have seen, in order.
final class ProbeLog: Sendable {
    private let accesses = Locked<[ProbedAccess]>([])

    func add(_ access: ProbedAccess) { accesses.withLock { $0.append(access) } }

    /// The accesses since the last call.
    func take() -> [ProbedAccess] {
        accesses.withLock { accesses in
            defer { accesses = [] }
            return accesses
        }
    }
}

/// The widest port access of a device, as a type.
protocol ProbeWidth { static var widest: AccessWidth { get } }
enum ByteWide: ProbeWidth { static let widest = AccessWidth.byte }
enum WordWide: ProbeWidth { static let widest = AccessWidth.word }
enum LongWide: ProbeWidth { static let widest = AccessWidth.long }

/// A device that tells what it is asked. Every byte of it reads as `first` plus the byte's offset.
final class BusProbe<Width: ProbeWidth>: PortIODevice, MMIODevice {
    static var widestPortAccess: AccessWidth { Width.widest }

    private let name: String
    private let first: UInt8
    private let log: ProbeLog

    init(_ name: String, first: UInt8 = 0, log: ProbeLog) {
        self.name = name
        self.first = first
        self.log = log
    }

    func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64 {
        log.add(ProbedAccess(device: name, offset: offset, width: width))
        return (0..<width.rawValue).reduce(0) { value, index in
            value | UInt64(first &+ UInt8(truncatingIfNeeded: offset) &+ UInt8(index)) << UInt64(8 * index)
        }
    }

    func writeMMIO(_ offset: UInt64, width: AccessWidth, value: UInt64) {
        log.add(ProbedAccess(device: name, offset: offset, width: width, value: value))
    }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(truncatingIfNeeded: readMMIO(UInt64(offset), width: width))
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        writeMMIO(UInt64(offset), width: width, value: UInt64(value))
    }
}
