import CKVM

/// Where somebody on this host may connect.
public enum LocalAddress: Hashable, Sendable {
    /// A TCP port of the loopback address; 0 for any that is free.
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

/// A socket that waits for somebody on this host to connect.
package final class LocalListener: Sendable {
    private let socket: OwnedDescriptor
    /// Where it was to wait.
    package let address: LocalAddress
    /// Where it waits: the path, or the loopback address and the port.
    package let place: String
    /// The file of a socket in the file system: its directory and its name there.
    private let folder: OwnedDescriptor?
    private let name: String
    /// The descriptor of the directory in which the socket's file is, if it has one that can be opened.
    package let directory: Int32?

    /// The descriptor, which can be read from when somebody waits.
    package var descriptor: Int32 { socket.number }

    /// Begins to listen.
    ///
    /// - Throws: ``ListenError``.
    package init(at address: LocalAddress) throws(ListenError) {
        self.address = address
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
            throw ListenError(address: address, number: ErrorNumber(rawValue: 0 &- descriptor))
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

    /// Takes who is waiting, if somebody still is. Reading from it waits, and so does writing, up to ``patience``.
    package func accept() -> OwnedDescriptor? {
        let peer = ckvm_accept(socket.number, Self.patience)
        return peer < 0 ? nil : OwnedDescriptor(takingOver: peer)
    }

    /// The same, but neither reading from it nor writing to it ever waits.
    package func acceptWithoutWaiting() -> OwnedDescriptor? {
        let peer = ckvm_accept_nonblocking(socket.number)
        return peer < 0 ? nil : OwnedDescriptor(takingOver: peer)
    }

    /// How long a peer may take to read what it was sent, in seconds.
    private static let patience: Int32 = 5
}

/// A socket that cannot be had.
package struct ListenError: Hashable, Sendable {
    /// Where it was to be.
    package let address: LocalAddress
    /// Why not.
    package let number: ErrorNumber
}

extension ListenError: DiagnosticError {
    package var explanation: String {
        switch address {
        case .port(let port): "Port \(port) cannot be listened at (\(number.name): \(number.description))."
        case .path(let path): "The socket \(path) cannot be made (\(number.name): \(number.description))."
        }
    }
}
