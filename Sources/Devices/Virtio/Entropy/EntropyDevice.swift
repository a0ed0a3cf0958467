import CKVM
import Host

/// The virtio entropy device: random numbers of the host for the guest.
///
/// One queue, without features. A request is served while the guest waits for its notification: the system hands random
/// numbers out at once. A request gets at most ``chunkSize`` bytes, which is for the device to say.
///
/// Source: virtio 1.2, section 5.4 "Entropy Device".
package final class EntropyDevice: VirtioDevice {
    package static let kind = VirtioKind.entropy
    /// The most that a request is given.
    static let chunkSize = 4096
    static let queueSizes: [UInt16] = [64]

    package let features: UInt64 = 0
    private let link: VirtioLink

    init(_ link: VirtioLink) {
        self.link = link
    }

    package func start() { notify(0) }

    package func notify(_ queue: Int) {
        link.serve(queue) { chain throws(VirtqueueFault) in
            guard chain.writable.byteCount > 0 else { throw .request }
            var count = 0
            unsafe chain.writable.withParts(0..<min(chain.writable.byteCount, Self.chunkSize)) { part in
                // Sound: the system writes no more than the part has.
                count += max(0, unsafe ckvm_random(part.baseAddress, part.count))
            }
            return count
        }
    }

    package func reset() {}
}

/// Random numbers of the host for the guest, by virtio.
public struct EntropySource: Component {
    /// The source.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        _ = try attachments.virtio(named: "virtio rng", queueSizes: EntropyDevice.queueSizes, EntropyDevice.init)
    }
}
