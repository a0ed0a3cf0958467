import Boot
import GuestImages

/// What init is to execute, as a file in the guest. `exec_channel.h` describes the format.
struct ExecOrder: Hashable, Sendable {
    /// The program's absolute path.
    package var program: [UInt8]
    /// The working directory.
    package var directory: [UInt8]
    /// The arguments, the name of the program first.
    package var arguments: [[UInt8]]
    /// The environment, in settings of the form NAME=VALUE.
    package var environment: [[UInt8]]
    /// Whether standard error is standard output.
    package var mergesOutput = false
    /// Whether init sends the kernel's symbols.
    package var sendsSymbols = false
    /// Whether init sets up the network interface.
    package var hasNetwork = false

    /// A module of the guest's kernel.
    package struct Module: Hashable, Sendable {
        /// Its absolute path in the guest.
        package var path: [UInt8]
        /// Whether the kernel has to decompress it.
        package var isCompressed: Bool

        /// MODULE_INIT_COMPRESSED_FILE. Source: Linux, include/uapi/linux/module.h.
        fileprivate var flags: UInt64 { isCompressed ? 4 : 0 }
    }

    /// The modules that are loaded before the program starts, in order.
    package var modules: [Module] = []

    /// A folder of the host.
    package struct Share: Hashable, Sendable {
        /// The tag of its device.
        package var tag: [UInt8]
        /// The absolute path in the guest that it is mounted at.
        package var path: [UInt8]
        /// Whether nothing in it can be changed.
        package var isReadOnly: Bool

        /// MS_NOSUID and MS_NODEV, and MS_RDONLY. Source: mount(2).
        fileprivate var flags: UInt64 { isReadOnly ? 7 : 6 }
    }

    /// The folders that are mounted before the program starts, in order.
    package var shares: [Share] = []

    /// Where init looks for the file.
    package static let path = "/.minivmm/order"

    /// The longest single string, with its zero. Source: Linux, include/uapi/linux/binfmts.h (MAX_ARG_STRLEN).
    private static let maximumStringSize = 0x2_0000
    /// All strings and the pointers to them. Source: execve(2): a quarter of the limit on the stack, which is 8 MiB.
    private static let maximumSize = 0x20_0000
    private static let pointerSize = 8

    /// The file's bytes.
    ///
    /// - Throws: ``ExecError/argumentsTooLong(size:limit:)``, ``ExecError/zeroByte``.
    package func encoded() throws(ExecError) -> [UInt8] {
        try check()
        var header: [UInt8] = []
        var strings: [UInt8] = []
        // A module has a pointer and flags, a folder two pointers and flags; each list ends with a null pointer.
        let texts = arguments.count + environment.count + 2
        let moduleWords = 2 * modules.count + 1
        let pointerCount = texts + moduleWords + 3 * shares.count + 1
        let pointers = Int(EXEC_ORDER_HEADER_SIZE)
        let firstString = pointers + pointerCount * Self.pointerSize

        /// Puts a string behind the others, and returns its address.
        func place(_ string: [UInt8]) -> Int {
            defer { strings += string + [0] }
            return Int(EXEC_ORDER_ADDRESS) + firstString + strings.count
        }

        let flags =
            (mergesOutput ? EXEC_MERGE_OUTPUT : 0) | (sendsSymbols ? EXEC_SEND_SYMBOLS : 0)
            | (hasNetwork ? EXEC_HAS_NETWORK : 0)
        header.append(integer: UInt64(flags))
        header.append(integer: UInt64(place(program)))
        header.append(integer: UInt64(place(directory)))
        header.append(integer: UInt64(Int(EXEC_ORDER_ADDRESS) + pointers))
        header.append(integer: UInt64(Int(EXEC_ORDER_ADDRESS) + pointers + (arguments.count + 1) * Self.pointerSize))
        for count in [texts, texts + moduleWords] {
            header.append(integer: UInt64(Int(EXEC_ORDER_ADDRESS) + pointers + count * Self.pointerSize))
        }
        for list in [arguments, environment] {
            for string in list { header.append(integer: UInt64(place(string))) }
            header.append(integer: UInt64(0))
        }
        for module in modules {
            header.append(integer: UInt64(place(module.path)))
            header.append(integer: module.flags)
        }
        header.append(integer: UInt64(0))
        for share in shares {
            header.append(integer: UInt64(place(share.tag)))
            header.append(integer: UInt64(place(share.path)))
            header.append(integer: share.flags)
        }
        header.append(integer: UInt64(0))
        return header + strings
    }

    private func check() throws(ExecError) {
        var size = 0
        for string in [program, directory] + arguments + environment {
            guard !string.contains(0) else { throw .zeroByte }
            guard string.count < Self.maximumStringSize
            else { throw .argumentsTooLong(size: string.count, limit: Self.maximumStringSize - 1) }
            size += string.count + 1 + Self.pointerSize
        }
        guard size <= Self.maximumSize else { throw .argumentsTooLong(size: size, limit: Self.maximumSize) }
    }
}
