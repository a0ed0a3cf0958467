import GuestImages
package import Memory

/// What a flat guest finds in place of a PC's BIOS: an interrupt vector table whose 256 entries each point at a stub
/// of their own, which calls MiniVMM by an OUT and returns.
///
/// So an exception or INT that the guest has no handler for can be told by its stub, and the guest goes nowhere else.
package enum FirmwareStubs {
    /// The segment of the stubs: that of ``BootLayout/firmware``.
    package static let segment: UInt16 = 0xf000
    /// The port that the stubs write to. An OUT to it from anywhere else is the guest's own.
    package static let port: UInt8 = 0xef

    /// OUT imm8, AL; IRET; NOP. Source: Intel SDM, volume 2.
    private static let stub: [UInt8] = [0xe6, port, 0xcf, 0x90]
    /// The length of the OUT, in bytes.
    private static let outLength: UInt64 = 2
    private static let vectorCount = 256

    /// Writes the vector table, at address 0, and the stubs.
    ///
    /// - Throws: `GuestMemoryError` when the guest's memory has no room for them.
    package static func write(to memory: GuestMemory) throws(GuestMemoryError) {
        for vector in 0..<vectorCount {
            let offset = UInt64(vector * stub.count)
            try memory.write(stub, at: BootLayout.firmware &+ offset)
            // An entry is the offset, then the segment. Source: Intel SDM, volume 3, "Real-address mode".
            let entry = UInt32(offset) | UInt32(segment) << 16
            try memory.store(entry, at: GuestPhysicalAddress(UInt64(vector) * 4))
        }
    }

    /// Writes what a guest may look for in the BIOS's data area.
    ///
    /// Source: Ralf Brown's Interrupt List, MEMORY.LST, segment 0040h.
    ///
    /// - Throws: `GuestMemoryError` when the guest's memory has no room for it.
    package static func writeDataArea(to memory: GuestMemory) throws(GuestMemoryError) {
        func store(_ value: UInt16, _ offset: UInt64) throws(GuestMemoryError) {
            try memory.store(value, at: GuestPhysicalAddress(0x400 + offset))
        }
        try store(serialPort, 0x00)
        try store(equipment, 0x10)
        try store(baseMemoryKiB, 0x13)
        try store(videoMode, 0x49)
        try store(videoColumns, 0x4a)
        // The index port of the video controller.
        try store(0x3d4, 0x63)
        // The number of hard disks.
        try store(1, 0x75)
        // Text rows, less one.
        try store(24, 0x84)
    }

    /// What a BIOS does at each tick of the timer: it counts in its data area, calls whom the guest has put behind
    /// INT 1Ch, ends the interrupt and returns.
    private static let tick: [UInt8] = [
        0x50,  // push ax
        0x1e,  // push ds
        0xb8, 0x40, 0x00,  // mov ax, 0x40
        0x8e, 0xd8,  // mov ds, ax
        0x66, 0xff, 0x06, 0x6c, 0x00,  // inc dword [0x6c]
        0xcd, 0x1c,  // int 0x1c
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0x20,  // out 0x20, al
        0x1f,  // pop ds
        0x58,  // pop ax
        0xcf,  // iret
    ]
    /// Behind the stubs; the last byte, an IRET, is what stands behind INT 1Ch.
    private static let tickOffset = UInt64(vectorCount * stub.count)
    private static let tickVector: UInt8 = 0x08
    private static let userTickVector: UInt8 = 0x1c

    /// What a BIOS does at an interrupt of the clock: it reads what has happened, which ends the clock's request, calls whom
    /// the guest has put behind INT 4Ah at an alarm, ends the interrupt and returns.
    private static let clock: [UInt8] = [
        0x50,  // push ax
        0xb0, 0x0c,  // mov al, 0xc
        0xe6, 0x70,  // out 0x70, al
        0xe4, 0x71,  // in al, 0x71
        0xa8, 0x20,  // test al, 0x20
        0x74, 0x02,  // jz past the int
        0xcd, 0x4a,  // int 0x4a
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0xa0,  // out 0xa0, al
        0xe6, 0x20,  // out 0x20, al
        0x58,  // pop ax
        0xcf,  // iret
    ]
    /// Behind what is done at each tick.
    private static let clockOffset = tickOffset + UInt64(tick.count)
    private static let clockVector: UInt8 = 0x70
    private static let alarmVector: UInt8 = 0x4a

    /// The address behind a vector of real mode, as the vector table has it.
    private static func handler(of vector: UInt8, in memory: GuestMemory) -> UInt32? {
        try? memory.load(UInt32.self, at: GuestPhysicalAddress(UInt64(vector) * 4))
    }

    private static func isStub(_ vector: UInt8, in memory: GuestMemory) -> Bool {
        handler(of: vector, in: memory) == UInt32(vector) * UInt32(stub.count) | UInt32(segment) << 16
    }

    /// Whether the guest has put a handler of its own behind the timer's interrupt, or behind what a BIOS calls then.
    ///
    /// - Parameter vector: The vector of the timer's interrupt.
    package static func hasOwnTickHandler(_ vector: UInt8, in memory: GuestMemory) -> Bool {
        [vector, userTickVector].contains { !isStub($0, in: memory) }
    }

    /// Puts what a BIOS does at the timer's and the clock's interrupts behind its vectors, where the guest has put nothing
    /// there.
    ///
    /// - Throws: `GuestMemoryError` when the guest's memory has no room for it.
    package static func writeTickHandlers(to memory: GuestMemory) throws(GuestMemoryError) {
        try memory.write(tick, at: BootLayout.firmware &+ tickOffset)
        try memory.write(clock, at: BootLayout.firmware &+ clockOffset)
        let last = clockOffset - 1
        let handlers = [
            (tickVector, tickOffset), (userTickVector, last), (clockVector, clockOffset), (alarmVector, last),
        ]
        for (vector, offset) in handlers where isStub(vector, in: memory) {
            try memory.store(UInt32(offset) | UInt32(segment) << 16, at: GuestPhysicalAddress(UInt64(vector) * 4))
        }
    }

    private static let serialPort: UInt16 = 0x3f8
    /// What INT 11h says: one floppy drive, an 80 x 25 color screen, one serial port.
    package static let equipment: UInt16 = 0x0221
    /// What INT 12h says: the memory below the graphics memory, in KiB.
    package static let baseMemoryKiB: UInt16 = 640
    /// Text in 16 colors.
    package static let videoMode: UInt16 = 3
    /// The columns of that mode.
    package static let videoColumns: UInt16 = 80

    /// The vector whose stub executed an OUT, or nil when no stub did.
    ///
    /// - Parameters:
    ///   - codeSegment: The selector in CS.
    ///   - instructionPointer: RIP at the exit: at the OUT, or after it where KVM's emulator ran it.
    package static func vector(codeSegment: UInt16, instructionPointer: UInt64) -> UInt8? {
        guard codeSegment == segment, instructionPointer < UInt64(vectorCount * stub.count) else { return nil }
        let offset = instructionPointer % UInt64(stub.count)
        guard offset == 0 || offset == outLength else { return nil }
        return UInt8(truncatingIfNeeded: instructionPointer / UInt64(stub.count))
    }
}

/// What stands where a PC's processor starts, and where software jumps to for a reset: F000:FFF0, which is FFFF:0000.
///
/// Source: IBM PC BIOS; Linux, arch/x86/realmode/rm/reboot.S.
package enum ResetVector {
    private static let address = BootLayout.firmware &+ 0xfff0

    /// A reset by the keyboard controller, in the code of every mode.
    private static let code: [UInt8] = [
        0xb0, 0xfe,  // mov al, 0xfe: pulse the reset line
        0xe6, 0x64,  // out 0x64, al
        0xf4,  // hlt
        0xeb, 0xfd,  // jmp to the hlt
    ]
    /// The model, at F000:FFFE: an AT.
    private static let model: [UInt8] = [0xfc]
    private static let modelOffset: UInt64 = 0xe

    /// Writes it, where the guest has memory for it.
    ///
    /// - Parameter end: Where the firmware's other tables end, if there are any: they come first.
    package static func write(
        to memory: GuestMemory, above end: GuestPhysicalAddress? = nil
    ) throws(GuestMemoryError) {
        guard memory.contains(address, byteCount: 16), end.map({ $0 <= address }) ?? true else { return }
        try memory.write(code, at: address)
        try memory.write(model, at: address &+ modelOffset)
    }
}

/// A guest that comes with MiniVMM.
public struct BuiltInGuest: Hashable, Sendable {
    /// The name that `--guest` takes.
    public let name: String
    /// One line that says what the guest shows.
    public let summary: String
    /// The flat image.
    public let image: [UInt8]

    /// All of them, in the order in which they are listed.
    public static var all: [BuiltInGuest] {
        unsafe (0..<guest_image_count()).compactMap { unsafe guest_image_at($0) }.map(unsafe BuiltInGuest.init)
    }

    /// The guest with the given name.
    public init?(named name: String) {
        guard let image = unsafe guest_image_named(name) else { return nil }
        unsafe self.init(image)
    }

    private init(_ image: UnsafePointer<guest_image>) {
        // Sound: the table's strings are constants that end with a zero, and its images lie between start and end.
        name = unsafe String(cString: image.pointee.name)
        summary = unsafe String(cString: image.pointee.summary)
        self.image = unsafe Array(UnsafeBufferPointer(start: image.pointee.start, count: guest_image_size(image)))
    }
}
