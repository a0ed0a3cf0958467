import Boot
import Devices
import Host
import KVM
import Memory

/// INT 15h, the services about the machine as a whole, and INT 1Ah, those about the time.
///
/// Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 15h", "Interrupt 1Ah"; ACPI 6.4, section 15.1
/// "INT 15H, E820H - Query System Address Map"; Ralf Brown's Interrupt List for E801h and the A20 gate.
struct SystemServices: Sendable {
    /// Nanoseconds since 1970-01-01 00:00:00 UTC.
    let now: @Sendable () -> Int64

    init(now: @escaping @Sendable () -> Int64 = HostClock.wallNanoseconds) {
        self.now = now
    }

    private static let notSupported: UInt8 = 0x86

    /// Services an INT 15h.
    func serveSystem(_ call: inout FirmwareCall) {
        switch (call.ax, call.ah) {
        case (0xe820, _): memoryMap(&call)
        case (0xe801, _): memorySizes(&call)
        case (0x2401, _):
            // The gate is open.
            call.ah = 0
            call.carry = false
        case (0x2402, _):
            call.ax = 0x0001
            call.carry = false
        case (0x2403, _):
            // The keyboard controller and port 0x92 open it.
            call.ah = 0
            call.bx = 0x0003
            call.carry = false
        case (_, 0x88):
            call.ax = UInt16(clamping: Self.extended(call.memory, from: Self.mebibyte, to: .max) >> 10)
            call.carry = false
        default:
            call.ah = Self.notSupported
            call.carry = true
        }
    }

    private static let mebibyte: UInt64 = 1 << 20

    /// The bytes of memory between two addresses from 1 MiB on.
    private static func extended(_ memory: GuestMemory, from start: UInt64, to end: UInt64) -> UInt64 {
        memory.regions.reduce(0) { sum, region in
            let first = max(region.start.rawValue, start)
            let last = min(region.end, end)
            return last > first ? sum &+ (last - first) : sum
        }
    }

    private func memorySizes(_ call: inout FirmwareCall) {
        let boundary = 16 * Self.mebibyte
        let low = Self.extended(call.memory, from: Self.mebibyte, to: boundary) >> 10
        let high = Self.extended(call.memory, from: boundary, to: .max) >> 16
        (call.ax, call.bx) = (UInt16(clamping: low), UInt16(clamping: high))
        (call.cx, call.dx) = (call.ax, call.bx)
        call.carry = false
    }

    /// "SMAP", in EDX before the call and in EAX after it.
    private static let mapSignature: UInt32 = 0x534d_4150
    private static let mapEntrySize: UInt64 = 20
    private static let usable: UInt32 = 1
    private static let reserved: UInt32 = 2

    /// An entry of the memory map, by the number in EBX, to ES:DI: base and length, 64 bits each, and the type.
    private func memoryMap(_ call: inout FirmwareCall) {
        // The screen is no memory to be used.
        let regions = call.memory.regions.filter { $0.start != TextScreen.start }
        let number = Int(UInt32(truncatingIfNeeded: call.registers.rbx))
        guard UInt32(truncatingIfNeeded: call.registers.rdx) == Self.mapSignature,
            UInt32(truncatingIfNeeded: call.registers.rcx) >= UInt32(Self.mapEntrySize), number < regions.count
        else {
            call.ah = Self.notSupported
            call.carry = true
            return
        }
        let region = regions[number]
        let type = region.start == BootLayout.firmware ? Self.reserved : Self.usable
        var bytes: [UInt8] = []
        bytes.append(integer: region.start.rawValue)
        bytes.append(integer: region.size)
        bytes.append(integer: type)
        // Where there is no memory nothing is written, as on a PC.
        try? call.memory.write(bytes, at: call.address(call.special.es, call.di))
        call.registers.rax = UInt64(Self.mapSignature)
        call.registers.rbx = number + 1 < regions.count ? UInt64(number + 1) : 0
        call.registers.rcx = Self.mapEntrySize
        call.carry = false
    }

    /// Services an INT 1Ah.
    func serveTime(_ call: inout FirmwareCall) {
        let second = Int(now() / HostClock.nanosecondsPerSecond)
        let time = CalendarTime(secondsSince1970: Int64(second))
        switch call.ah {
        case 0x00:
            let ticks = Self.ticks(since1970: now())
            (call.cx, call.dx) = (UInt16(truncatingIfNeeded: ticks >> 16), UInt16(truncatingIfNeeded: ticks))
            // Midnight has not passed since it was asked for.
            call.al = 0
        case 0x01:
            // The host's clock is not the guest's to set.
            break
        case 0x02:
            call.cx = UInt16(Self.decimal(time.hour)) << 8 | UInt16(Self.decimal(time.minute))
            call.dx = UInt16(Self.decimal(time.second)) << 8
            call.carry = false
        case 0x04:
            call.cx = UInt16(Self.decimal(time.year / 100)) << 8 | UInt16(Self.decimal(time.year % 100))
            call.dx = UInt16(Self.decimal(time.month)) << 8 | UInt16(Self.decimal(time.day))
            call.carry = false
        default:
            call.carry = true
        }
    }

    /// Two digits, in BCD.
    private static func decimal(_ value: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: (value / 10 % 10) << 4 | value % 10)
    }

    /// The timer's ticks since midnight, of which there are 1193182 / 65536 a second.
    private static func ticks(since1970 nanoseconds: Int64) -> UInt64 {
        let microseconds = UInt64(max(0, nanoseconds) / 1000) % 86_400_000_000
        // Less than 2^37 times less than 2^21.
        return microseconds &* 1_193_182 / (65_536 * 1_000_000)
    }
}
