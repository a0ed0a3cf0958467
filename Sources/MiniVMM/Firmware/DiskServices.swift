import Boot
import Memory

/// INT 13h: the sectors of the disk that a guest was booted from, to be read.
///
/// Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 13h"; Phoenix, "BIOS Enhanced Disk Drive
/// Specification", version 3.0, for functions 41h to 48h.
struct DiskServices: Sendable {
    private let disk: BootDisk

    init(_ disk: BootDisk) {
        self.disk = disk
    }

    /// What AH says afterwards.
    private enum Status {
        static let done: UInt8 = 0x00
        static let invalidFunction: UInt8 = 0x01
        static let writeProtected: UInt8 = 0x03
        static let sectorNotFound: UInt8 = 0x04
        static let outsideMemory: UInt8 = 0x09
    }

    private enum Function {
        static let reset: UInt8 = 0x00
        static let lastStatus: UInt8 = 0x01
        static let read: UInt8 = 0x02
        static let write: UInt8 = 0x03
        static let verify: UInt8 = 0x04
        static let parameters: UInt8 = 0x08
        static let resetHardDisk: UInt8 = 0x0d
        static let type: UInt8 = 0x15
        static let extensions: UInt8 = 0x41
        static let extendedRead: UInt8 = 0x42
        static let extendedWrite: UInt8 = 0x43
        static let extendedVerify: UInt8 = 0x44
        static let extendedParameters: UInt8 = 0x48
    }

    /// Services a call.
    func serve(_ call: inout FirmwareCall) {
        guard call.dl == BootDisk.firstFloppy || call.dl == BootDisk.firstHardDisk else {
            return finish(&call, Status.invalidFunction)
        }
        switch call.ah {
        case Function.reset, Function.resetHardDisk, Function.lastStatus: finish(&call, Status.done)
        case Function.read: read(&call, transfers: true)
        case Function.verify: read(&call, transfers: false)
        case Function.write, Function.extendedWrite: finish(&call, Status.writeProtected)
        case Function.parameters: parameters(&call)
        case Function.type: type(&call)
        case Function.extensions where call.bx == 0x55aa:
            finish(&call, Self.extensionsVersion)
            call.carry = false
            call.bx = 0xaa55
            call.cx = Self.packetAccess
        case Function.extendedRead: extendedRead(&call, transfers: true)
        case Function.extendedVerify: extendedRead(&call, transfers: false)
        case Function.extendedParameters: extendedParameters(&call)
        default: finish(&call, Status.invalidFunction)
        }
    }

    /// Version 2.1 of the extensions, of which there are those that take a packet.
    private static let extensionsVersion: UInt8 = 0x21
    private static let packetAccess: UInt16 = 1 << 0

    private func finish(_ call: inout FirmwareCall, _ status: UInt8) {
        call.ah = status
        call.carry = status != Status.done
    }

    /// Reads by cylinder, head and sector. AL sectors: bits 9:8 of the cylinder are bits 7:6 of CL.
    private func read(_ call: inout FirmwareCall, transfers: Bool) {
        let cylinder = Int(call.ch) | Int(call.cl & 0xc0) << 2
        let first = disk.sector(cylinder: cylinder, head: Int(call.dh), sector: Int(call.cl & 0x3f))
        let count = UInt64(call.al)
        guard let first, count > 0, let bytes = disk.read(first, count: count) else {
            call.al = 0
            return finish(&call, Status.sectorNotFound)
        }
        let status = transfers ? store(bytes, at: call.address(call.special.es, call.bx), call) : Status.done
        if status != Status.done { call.al = 0 }
        finish(&call, status)
    }

    private func store(_ bytes: [UInt8], at address: GuestPhysicalAddress, _ call: FirmwareCall) -> UInt8 {
        do {
            try call.memory.write(bytes, at: address)
            return Status.done
        } catch {
            return Status.outsideMemory
        }
    }

    /// The geometry: the last cylinder, head and sector, and in DL the number of drives. Floppy drives have a type.
    private func parameters(_ call: inout FirmwareCall) {
        let geometry = disk.geometry
        let lastCylinder = geometry.cylinders - 1
        let high = UInt16(lastCylinder >> 2 & 0xc0) | UInt16(geometry.sectors)
        call.cx = UInt16(truncatingIfNeeded: lastCylinder & 0xff) << 8 | high
        call.dx = UInt16(truncatingIfNeeded: geometry.heads - 1) << 8 | 1
        finish(&call, Status.done)
        call.al = 0
        if call.dl < BootDisk.firstHardDisk, !disk.isHardDisk { call.bx = call.bx & 0xff00 | Self.floppyType }
    }

    /// A drive for disks of 1.44 MB.
    private static let floppyType: UInt16 = 4

    /// Function 15h: 1 is a floppy drive, 3 a hard disk, whose sectors are in CX:DX.
    private func type(_ call: inout FirmwareCall) {
        let isHardDisk = call.dl >= BootDisk.firstHardDisk
        if isHardDisk {
            call.cx = UInt16(truncatingIfNeeded: disk.sectorCount >> 16)
            call.dx = UInt16(truncatingIfNeeded: disk.sectorCount)
        }
        call.ah = isHardDisk ? 3 : 1
        call.carry = false
    }

    /// The packet at DS:SI: size, 0, count (16 bits), offset and segment of the buffer, and the first sector (64 bits);
    /// with FFFF:FFFF for a buffer its address follows (64 bits).
    private func extendedRead(_ call: inout FirmwareCall, transfers: Bool) {
        let packet = call.address(call.special.ds, call.si)
        guard let size = try? call.memory.load(UInt8.self, at: packet), size >= 16,
            let count = try? call.memory.load(UInt16.self, at: packet &+ 2),
            let buffer = try? call.memory.load(UInt32.self, at: packet &+ 4),
            let first = try? call.memory.load(UInt64.self, at: packet &+ 8)
        else { return finish(&call, Status.invalidFunction) }
        var address = GuestPhysicalAddress(UInt64(buffer >> 16) << 4 &+ UInt64(buffer & 0xffff))
        if buffer == .max, size >= 24, let far = try? call.memory.load(UInt64.self, at: packet &+ 16) {
            address = GuestPhysicalAddress(far)
        }
        var status = Status.sectorNotFound
        if let bytes = disk.read(first, count: UInt64(count)) {
            status = transfers ? store(bytes, at: address, call) : Status.done
        }
        // As many as were transferred: all, or none.
        if status != Status.done { try? call.memory.store(UInt16(0), at: packet &+ 2) }
        finish(&call, status)
    }

    /// The buffer at DS:SI: size, flags, cylinders, heads and sectors of a track (32 bits each), all sectors (64 bits)
    /// and the bytes of one.
    private func extendedParameters(_ call: inout FirmwareCall) {
        let buffer = call.address(call.special.ds, call.si)
        guard let size = try? call.memory.load(UInt16.self, at: buffer), size >= 26 else {
            return finish(&call, Status.invalidFunction)
        }
        var bytes: [UInt8] = []
        bytes.append(integer: UInt16(26))
        // The geometry is valid.
        bytes.append(integer: UInt16(1 << 1))
        bytes.append(integer: UInt32(disk.geometry.cylinders))
        bytes.append(integer: UInt32(disk.geometry.heads))
        bytes.append(integer: UInt32(disk.geometry.sectors))
        bytes.append(integer: disk.sectorCount)
        bytes.append(integer: UInt16(BootDisk.sectorSize))
        finish(&call, store(bytes, at: buffer, call))
    }
}
