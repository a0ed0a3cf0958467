/// The release of a kernel, such as `6.1.0-18-amd64`: the name of the folder of its modules.
package enum KernelRelease {
    /// Where a bzImage says at which offset from 0x200 its version stands. Source: Linux, Documentation/arch/x86/boot.rst.
    private static let pointer: UInt64 = 0x20e
    private static let base: UInt64 = 0x200
    /// More than any has. Source: Linux, include/uapi/linux/utsname.h, __NEW_UTS_LEN.
    private static let maximumLength = 64

    /// What a bzImage says of itself; nil for another file, or one that says nothing.
    package static func read(_ file: [UInt8]) -> String? {
        guard SetupHeader.isPresent(in: file), let offset = file.integer(UInt16.self, at: pointer), offset != 0
        else { return nil }
        let start = Int(base) + Int(offset)
        guard start < file.count else { return nil }
        let text = file[start...].prefix(maximumLength + 1).prefix { $0 > 0x20 && $0 < 0x7f }
        let isName = !text.isEmpty && text.count <= maximumLength && !text.contains(UInt8(ascii: "/"))
        guard isName, text.first != UInt8(ascii: ".") else { return nil }
        return String(decoding: text, as: UTF8.self)
    }
}
