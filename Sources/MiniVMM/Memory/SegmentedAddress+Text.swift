extension SegmentedAddress {
    /// Reads `SEGMENT:OFFSET`, each of one to four digits in base 16, with or without `0x` before them.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let segment = Self.part(parts[0]), let offset = Self.part(parts[1]) else { return nil }
        self.init(segment: segment, offset: offset)
    }

    private static func part(_ text: some StringProtocol) -> UInt16? {
        let lowercase = text.lowercased()
        let digits = lowercase.hasPrefix("0x") ? lowercase.dropFirst(2) : lowercase[...]
        // UInt16 itself would take a sign, and leading zeros without end.
        guard digits.count <= 4, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        return UInt16(digits, radix: 16)
    }
}
