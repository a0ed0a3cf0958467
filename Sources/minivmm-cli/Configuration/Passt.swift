import CKVM
import Devices
import Glibc
import Host

/// passt(1), which gives a guest the network of its user, without privileges.
///
/// It is started with one end of a pair of sockets, and ends when the other is closed: however this process ends, the
/// system does that. What it says is kept, and shown if it does not get ready.
enum Passt {
    private static let program = "passt"
    /// The descriptor that it has its socket at.
    private static let socket: Int32 = 3
    /// The MTU that it has by default. Source: passt(1), --mtu.
    private static let mtu: UInt16 = 65_520
    /// How long it may take to get ready: far more than it needs.
    private static let patience = Duration.seconds(20)

    /// What the guest finds: addresses that do not depend on the host. What it sends to 10.0.2.3 goes to the host's own
    /// name server. Nothing leads to servers that listen on the host's loopback address alone, which users start as if
    /// nobody could reach them.
    private static let settings = [
        "--ipv4-only", "--address", guestAddress, "--netmask", "255.255.255.0", "--gateway", gateway,
        "--mac-addr", "02:4d:56:4d:00:02", "--dns-forward", nameServer, "--no-map-gw",
    ]
    private static let guestAddress = "10.0.2.15"
    private static let gateway = "10.0.2.2"
    /// The guest's name server.
    static let nameServer = "10.0.2.3"

    /// How a person starts the same, listening at a path that it tells.
    static var commandLine: String { ([program, "--foreground"] + settings).joined(separator: " ") }

    /// Starts it, and waits until it is ready.
    ///
    /// - Parameter address: The guest's.
    /// - Returns: What leads to it.
    /// - Throws: ``PasstError``, `ResourceError`.
    static func start(for address: MACAddress) throws -> FrameSocket {
        var ends: (Int32, Int32) = (-1, -1)
        let result = unsafe withUnsafeMutableBytes(of: &ends) {
            // Sound: a tuple of two equal types is laid out as an array of two.
            unsafe ckvm_socket_pair($0.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
        guard result >= 0 else { throw ResourceError("a pair of sockets", ErrorNumber(rawValue: 0 &- result)) }
        let (ours, theirs) = ends
        let words = unsafe ckvm_memory_file(program)
        defer { if words >= 0 { close(words) } }
        let process: pid_t
        do throws(ResourceError) {
            defer { close(theirs) }
            process = try start(socket: theirs, words: words)
        } catch {
            close(ours)
            guard error.errorNumber == .noSuchFile else { throw error }
            throw PasstError.notFound
        }
        do throws(PasstError) {
            try waitUntilReady(ours, address, process, words)
        } catch {
            close(ours)
            throw error
        }
        return FrameSocket(takingOver: ours, mtu: mtu)
    }

    private static func start(socket theirs: Int32, words: Int32) throws(ResourceError) -> pid_t {
        let arguments = [program, "--foreground", "--quiet", "--fd", "\(socket)"] + settings
        return try unsafe ProgramStart.start(program, arguments.map { Array($0.utf8) }, hasOwnGroup: true) { actions in
            unsafe posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0)
            unsafe posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO)
            unsafe posix_spawn_file_actions_adddup2(actions, words >= 0 ? words : STDIN_FILENO, STDERR_FILENO)
            unsafe posix_spawn_file_actions_adddup2(actions, theirs, socket)
        }
    }

    /// Asks it who has the gateway's address, as guests do, and waits for the answer, which stays for the guest.
    private static func waitUntilReady(
        _ socket: Int32, _ address: MACAddress, _ process: pid_t, _ words: Int32
    ) throws(PasstError) {
        let question = question(from: address)
        // What nobody takes because it has ended shows below.
        _ = unsafe ckvm_send(socket, question, question.count)
        var poll = PollSet(socket, -1)
        var result = poll.wait(atMost: patience)
        while result == -EINTR { result = poll.wait(atMost: patience) }
        guard result > 0 else { throw .silent }
        if ckvm_has_bytes(socket) == 1 { return }
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        throw .ended(lastWords(words))
    }

    /// A request of ARP behind its length. Source: RFC 826.
    private static func question(from address: MACAddress) -> [UInt8] {
        let request: [UInt8] =
            [UInt8](repeating: 0xff, count: 6) + address.bytes + [8, 6]  // to all; of this type
            + [0, 1, 8, 0, 6, 4, 0, 1]  // Ethernet, IPv4, the sizes of their addresses; a question
            + address.bytes + [10, 0, 2, 15] + [0, 0, 0, 0, 0, 0] + [10, 0, 2, 2]
        return [0, 0, 0, UInt8(request.count)] + request
    }

    /// The last line that it wrote which is about itself.
    private static func lastWords(_ file: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let size = file < 0 ? 0 : lseek(file, 0, SEEK_END)
        let count = unsafe pread(file, &bytes, bytes.count, max(0, size - bytes.count))
        let lines = ForeignText.text(bytes.prefix(max(0, count))).split(separator: "\n").map(String.init)
        return lines.last { !$0.hasSuffix("to syslog") }
    }
}

/// Why passt cannot be used.
enum PasstError: Error, Hashable, Sendable {
    /// It is not installed.
    case notFound
    /// It has ended before it was ready, with some last words.
    case ended(String?)
    /// It does not answer.
    case silent
}

extension PasstError: DiagnosticError {
    var explanation: String {
        switch self {
        case .notFound: "There is no program passt in PATH."
        case .ended(let words): "passt has ended before it was ready\(words.map { ", and said: \($0)" } ?? "")."
        case .silent: "passt does not answer."
        }
    }
}
