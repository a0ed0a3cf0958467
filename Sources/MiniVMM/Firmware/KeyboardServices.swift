import Devices

/// INT 16h: the keys of a keyboard that the console's input types.
///
/// Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 16h".
struct KeyboardServices: Sendable {
    private let serial: Serial16550

    /// Keys out of what comes to the serial port, whose input is the console's.
    init(_ serial: Serial16550) {
        self.serial = serial
    }

    enum Function {
        static let read: UInt8 = 0x00
        static let peek: UInt8 = 0x01
        static let shifts: UInt8 = 0x02
        /// Added to these for keyboards of 101 keys.
        static let extended: UInt8 = 0x10
    }

    /// Services a call, all but the wait for a key.
    ///
    /// - Returns: Whether it is done; false when it waits for a key.
    func serve(_ call: inout FirmwareCall) -> Bool {
        switch call.ah & ~Function.extended {
        case Function.read:
            guard let byte = serial.takeInput() else { return false }
            press(byte, &call)
        case Function.peek:
            let byte = serial.peekInput()
            if let byte { press(byte, &call) }
            call.zero = byte == nil
        case Function.shifts:
            call.al = 0
        default:
            break
        }
        return true
    }

    /// The key that types a byte: its scan code in AH, what it types in AL.
    private func press(_ byte: UInt8, _ call: inout FirmwareCall) {
        // The Enter key types a carriage return, and Backspace a backspace.
        let typed: UInt8 =
            switch byte {
            case Self.newline: Self.carriageReturn
            case Self.delete: Self.backspace
            default: byte
            }
        call.al = typed
        call.ah = Self.scanCode(typed)
    }

    private static let backspace: UInt8 = 0x08
    private static let newline: UInt8 = 0x0a
    private static let carriageReturn: UInt8 = 0x0d
    private static let delete: UInt8 = 0x7f

    /// The rows of a US keyboard without and with shift, and the scan code of each row's first key.
    private static let rows: [(first: UInt8, keys: [UInt8])] = [
        (0x02, Array("1234567890-=".utf8)), (0x02, Array("!@#$%^&*()_+".utf8)),
        (0x10, Array("qwertyuiop[]".utf8)), (0x10, Array("QWERTYUIOP{}".utf8)),
        (0x1e, Array("asdfghjkl;'`".utf8)), (0x1e, Array("ASDFGHJKL:\"~".utf8)),
        (0x2b, Array("\\zxcvbnm,./".utf8)), (0x2b, Array("|ZXCVBNM<>?".utf8)),
    ]

    /// The scan code of the key that types a character; 0 where none does, as for what is typed by its number.
    private static func scanCode(_ character: UInt8) -> UInt8 {
        switch character {
        case 0x1b: return 0x01  // Esc
        case backspace: return 0x0e
        case 0x09: return 0x0f  // Tab
        case carriageReturn: return 0x1c
        case 0x20: return 0x39  // the space bar
        default: break
        }
        // With Ctrl a letter types its number.
        let key = (1...26).contains(character) ? character + 0x60 : character
        for row in rows {
            if let place = row.keys.firstIndex(of: key) { return row.first + UInt8(place) }
        }
        return 0
    }
}
