import CKVM
public import Host

/// Where a debugger may connect.
public enum DebugAddress: Hashable, Sendable {
    /// A TCP port of this host's loopback address; 0 for any that is free.
    case port(UInt16)
    /// A socket in the file system, for this user alone.
    case path(String)

    /// Reads a port's number, or `unix:` and a path.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard !path.isEmpty else { return nil }
            self = .path(path)
        } else {
            // UInt16 itself would take a sign.
            guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(text) else { return nil }
            self = .port(port)
        }
    }
}

/// A socket that waits for a debugger.
package final class DebugListener: Sendable {
    let socket: OwnedDescriptor
    /// Where it waits, in the words of GDB's command `target remote`.
    package let place: String
    /// The file of a socket in the file system: its directory and its name there.
    private let folder: OwnedDescriptor?
    private let name: String
    /// The descriptor of the directory in which the socket's file is, if it has one that can be opened.
    package let directory: Int32?

    /// Begins to listen.
    ///
    /// - Throws: ``DebuggerError/cannotListen(at:_:)``.
    package init(at address: DebugAddress) throws(DebuggerError) {
        let descriptor: Int32
        switch address {
        case .port(let port):
            descriptor = ckvm_listen_loopback(port)
            name = ""
            folder = nil
            directory = nil
        case .path(let path):
            descriptor = unsafe ckvm_listen_path(ForeignText.cString(path))
            let parts = path.split(separator: "/")
            name = parts.last.map(String.init) ?? path
            let parent = path.dropLast(name.count)
            // Opened now: a confined process opens nothing, and removes a file in a directory that it has.
            let number = unsafe ckvm_open(
                ForeignText.cString(parent.isEmpty ? "." : String(parent)), O_RDONLY | O_DIRECTORY)
            folder = number < 0 ? nil : OwnedDescriptor(takingOver: number)
            directory = number < 0 ? nil : number
        }
        guard descriptor >= 0 else {
            throw .cannotListen(at: address, ErrorNumber(rawValue: 0 &- descriptor))
        }
        socket = OwnedDescriptor(takingOver: descriptor)
        if case .path(let path) = address {
            place = path
        } else {
            place = "127.0.0.1:\(ckvm_listening_port(descriptor))"
        }
    }

    deinit {
        if let directory { _ = unsafe unlinkat(directory, ForeignText.cString(name), 0) }
    }

    /// Takes the debugger that is waiting, if it still is.
    func accept() -> OwnedDescriptor? {
        let peer = ckvm_accept(socket.number, Self.patience)
        return peer < 0 ? nil : OwnedDescriptor(takingOver: peer)
    }

    /// How long a debugger may take to read what it was sent, in seconds.
    private static let patience: Int32 = 5
}

/// Why there can be no debugger.
public enum DebuggerError: Error, Hashable, Sendable {
    /// The socket cannot be had.
    case cannotListen(at: DebugAddress, ErrorNumber)
}

extension DebuggerError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .cannotListen(.port(let port), let error):
            "Port \(port) cannot be listened at (\(error.name): \(error.description))."
        case .cannotListen(.path(let path), let error):
            "The socket \(path) cannot be made (\(error.name): \(error.description))."
        }
    }
}
