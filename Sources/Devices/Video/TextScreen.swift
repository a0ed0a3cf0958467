import Host
package import Memory

/// A PC's text screen, 80 by 25 characters of memory, shown on the console as plain lines: those that changed since the
/// last look.
///
/// The guest writes to memory and makes no exit for it. A worker looks some times a second, and once more when the run
/// ends. A line is shown when it has not changed from one look to the next, so that one that is being written is shown
/// whole; what has scrolled up is not shown again, and what scrolls by faster than it can be looked at is not seen.
///
/// State is kept in order by a lock.
package final class TextScreen: Sendable {
    /// Where a PC has the memory of a color screen, and its size: 32 KiB, of which the first page is shown.
    package static let start = GuestPhysicalAddress(0xB8000)
    /// The bytes of that memory.
    package static let size: UInt64 = 0x8000

    /// Characters in a row.
    package static let columns = 80
    /// Rows.
    package static let rows = 25
    /// Between two looks.
    fileprivate static let interval = Duration.milliseconds(50)

    private struct State {
        /// What was shown of each row, or scrolled to it.
        var shown = [[UInt8]](repeating: [], count: TextScreen.rows)
        /// What each row was at the last look.
        var last = [[UInt8]](repeating: [], count: TextScreen.rows)
    }

    private let memory: GuestMemory
    private let state = Locked(State())

    /// The screen in a guest's memory.
    package init(_ memory: GuestMemory) {
        self.memory = memory
    }

    /// Looks at the screen.
    ///
    /// - Parameter isLast: Whether there will be no other look: then lines that have just changed are shown as well.
    /// - Returns: The lines to be shown, with their ends; as UTF-8.
    package func look(isLast: Bool) -> [UInt8] {
        guard let cells = try? memory.bytes(at: Self.start, count: 2 * Self.columns * Self.rows) else { return [] }
        let rows = (0..<Self.rows).map { Self.text(of: cells[($0 * 2 * Self.columns)..<(($0 + 1) * 2 * Self.columns)]) }
        return state.withLock { state in
            state.shown = Self.scrolled(state.shown, to: rows)
            var lines: [UInt8] = []
            for (row, text) in rows.enumerated() where text != state.shown[row] && (isLast || text == state.last[row]) {
                state.shown[row] = text
                if !text.isEmpty { lines += Self.encoded(text) + [UInt8(ascii: "\n")] }
            }
            state.last = rows
            return lines
        }
    }

    /// The characters of a row without those at its end that show nothing. The other byte of each is its color.
    private static func text(of cells: ArraySlice<UInt8>) -> [UInt8] {
        var characters = stride(from: cells.startIndex, to: cells.endIndex, by: 2).map { cells[$0] }
        while let last = characters.last, last == 0 || last == 0x20 || last == 0xff { characters.removeLast() }
        return characters
    }

    /// The rows that were shown, moved up by as many as makes most of them what is there now.
    private static func scrolled(_ shown: [[UInt8]], to rows: [[UInt8]]) -> [[UInt8]] {
        func agreement(_ distance: Int) -> Int {
            (0..<(Self.rows - distance)).count { !rows[$0].isEmpty && rows[$0] == shown[$0 + distance] }
        }
        var (best, most) = (0, agreement(0))
        for distance in 1..<Self.rows where agreement(distance) > most {
            (best, most) = (distance, agreement(distance))
        }
        return Array(shown[best...]) + [[UInt8]](repeating: [], count: best)
    }

    /// The characters of code page 437 from 128 on, and those below 32.
    private static let upper = Array(
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ "
    )
    private static let lower = Array(" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼")

    private static func encoded(_ text: [UInt8]) -> [UInt8] {
        text.flatMap { character -> [UInt8] in
            switch character {
            case 0x20..<0x7f: [character]
            case 0x80...: Array(String(upper[Int(character) - 0x80]).utf8)
            case 0x7f: Array("⌂".utf8)
            default: Array(String(lower[Int(character)]).utf8)
            }
        }
    }
}

// MARK: The component

/// The text screen, for a guest that has memory for it.
public struct ScreenMemory: Component {
    /// The screen.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let screen = TextScreen(attachments.machine.memory)
        attachments.screen = screen
        let console = attachments.machine.console
        attachments.worker(named: "text screen") { control in
            while !control.wait(for: TextScreen.interval) { console.keep(screen.look(isLast: false)) }
        }
    }
}
