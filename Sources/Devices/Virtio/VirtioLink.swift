package import Host
package import Memory
import Synchronization

/// What a virtio device and its transport share: how far the driver is, the queues, the interrupt, and what was moved.
///
/// Each queue has a lock of its own, which is held while a request is served: a driver that resets the device waits for
/// that, and then nothing of its memory is touched any more.
package final class VirtioLink: Sendable {
    /// A queue, once the driver has set it up.
    private final class Place: Sendable {
        let queue = Locked<SplitQueue?>(nil)
        let maximumSize: UInt16

        init(maximumSize: UInt16) {
            self.maximumSize = maximumSize
        }
    }

    /// What reports call the device.
    package let name: String
    private let memory: GuestMemory
    private let places: [Place]
    private let interrupt: VirtioInterrupt
    /// Whether the run is being ended: nothing more is served then on a vCPU's thread.
    private let isEnding: @Sendable () -> Bool

    private let statusBits = Atomic<UInt32>(0)
    private let causes = Atomic<UInt32>(0)
    private let agreedFeatures = Atomic<UInt64>(0)
    private let generation = Atomic<UInt32>(0)
    private let configurationBytes: Locked<[UInt8]>
    /// What the device has done so far.
    package let activity = VirtioActivity()

    /// What a device and its transport share.
    ///
    /// - Parameters:
    ///   - name: What reports call the device.
    ///   - queueSizes: The most elements that each queue can have; powers of two.
    ///   - configuration: What the driver reads of the device's kind.
    ///   - memory: The guest's memory.
    ///   - interrupt: The way to the guest.
    ///   - isEnding: Whether the run is being ended.
    package init(
        name: String, queueSizes: [UInt16], configuration: [UInt8] = [], memory: GuestMemory,
        interrupt: VirtioInterrupt, isEnding: @escaping @Sendable () -> Bool
    ) {
        self.name = name
        self.memory = memory
        self.interrupt = interrupt
        self.isEnding = isEnding
        places = queueSizes.map(Place.init)
        configurationBytes = Locked(configuration)
    }
}

// MARK: For the device

extension VirtioLink {
    /// Whether the device may use its queues.
    package var isRunning: Bool {
        status.isSuperset(of: .driverReady) && status.isDisjoint(with: [.needsReset, .failed])
    }

    /// Serves the requests of a queue until there are none, and has the driver notify of the next.
    ///
    /// On a vCPU's thread, for what never waits.
    ///
    /// - Parameter handle: Does what a request asks for, and returns how many bytes it has written.
    package func serve(_ index: Int, _ handle: (DescriptorChain) throws(VirtqueueFault) -> Int) {
        withQueue(index) { queue throws(VirtqueueFault) in
            queue.declineNotifications()
            repeat {
                while try queue.next() {
                    // Another vCPU may go on filling the queue.
                    if isEnding() { return }
                    finish(&queue, written: try handle(queue.chain))
                }
            } while queue.requestNotification()
        }
    }

    /// Serves one request of a queue. A driver that resets the device waits for no more than that.
    ///
    /// - Returns: Whether there was one. If not, the driver notifies of the next.
    package func serveOne(_ index: Int, _ handle: (DescriptorChain) throws(VirtqueueFault) -> Int) -> Bool {
        let isServed = withQueue(index) { queue throws(VirtqueueFault) -> Bool in
            queue.declineNotifications()
            repeat {
                if try queue.next() {
                    finish(&queue, written: try handle(queue.chain))
                    return true
                }
            } while queue.requestNotification()
            return false
        }
        return isServed ?? false
    }

    /// Whether there is a request in a queue. If not, the driver notifies of the next.
    package func hasRequest(_ index: Int) -> Bool {
        withQueue(index) { queue throws(VirtqueueFault) in queue.requestNotification() } ?? false
    }

    /// The features that were agreed upon. They stay while a queue is used.
    package var agreed: UInt64 { features.rawValue }

    private func finish(_ queue: inout SplitQueue, written: Int) {
        activity.note(read: queue.chain.readable.byteCount, written: written)
        queue.complete(written: written)
    }

    /// Does something with a queue if the device may use it, raises an interrupt if the driver wants one, and stops using
    /// the queues when the driver has done something wrong. A driver that resets the device waits for as long as it takes.
    ///
    /// - Returns: Nil when the queue is not to be used.
    @discardableResult
    package func withQueue<Result: Sendable>(
        _ index: Int, _ body: (inout SplitQueue) throws(VirtqueueFault) -> Result
    ) -> Result? {
        places[index].queue.withLock { place -> Result? in
            // Taken out, so that nothing of it is copied.
            guard isRunning, var queue = place.take() else { return nil }
            let result: Result?
            do throws(VirtqueueFault) {
                result = try body(&queue)
            } catch {
                result = nil
                fail(error)
            }
            if queue.wantsInterrupt() { raise(VirtioInterruptCause.usedBuffers) }
            place = queue
            return result
        }
    }

    /// Changes what the driver reads of the device's kind, and tells it.
    package func changeConfiguration(_ change: (inout [UInt8]) -> Void) {
        configurationBytes.withLock { bytes in
            change(&bytes)
            generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
        }
        if isRunning { raise(VirtioInterruptCause.configurationChange) }
    }

    private func raise(_ cause: UInt32) {
        causes.bitwiseOr(cause, ordering: .sequentiallyConsistent)
        activity.noteInterrupt()
        interrupt.raise()
    }
}

// MARK: For the transport

extension VirtioLink {
    var queueCount: Int { places.count }

    var status: VirtioStatus { VirtioStatus(rawValue: statusBits.load(ordering: .sequentiallyConsistent)) }

    var features: VirtioFeatures {
        VirtioFeatures(rawValue: agreedFeatures.load(ordering: .sequentiallyConsistent))
    }

    /// Why there was an interrupt, as far as the driver has not acknowledged it.
    var pendingCauses: UInt32 { causes.load(ordering: .sequentiallyConsistent) }

    var configurationGeneration: UInt32 { generation.load(ordering: .sequentiallyConsistent) }

    func maximumSize(ofQueue index: Int) -> UInt16 {
        places.indices.contains(index) ? places[index].maximumSize : 0
    }

    func acknowledge(_ acknowledged: UInt32) {
        causes.bitwiseAnd(~acknowledged, ordering: .sequentiallyConsistent)
    }

    func add(_ bits: VirtioStatus) {
        statusBits.bitwiseOr(bits.rawValue, ordering: .sequentiallyConsistent)
    }

    func agree(on features: VirtioFeatures) {
        agreedFeatures.store(features.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Reads what there is of the device's kind. Past its end there are zeros.
    func readConfiguration(_ offset: UInt64, _ width: AccessWidth) -> UInt64 {
        configurationBytes.withLock { bytes in
            (0..<width.rawValue).reduce(0) { value, index in
                let (place, isPastEnd) = offset.addingReportingOverflow(UInt64(index))
                guard !isPastEnd, place < UInt64(bytes.count) else { return value }
                return value | UInt64(bytes[Int(place)]) << UInt64(8 * index)
            }
        }
    }

    /// Makes a queue ready that the driver has set up, or takes it away.
    func setQueue(_ index: Int, _ layout: QueueLayout?) {
        guard places.indices.contains(index) else { return }
        let (features, place) = (features, places[index])
        place.queue.withLock { queue in
            queue = nil
            guard let layout else { return }
            do throws(VirtqueueFault) {
                queue = try SplitQueue(layout, maximumSize: place.maximumSize, features: features, memory: memory)
            } catch {
                fail(error)
            }
        }
    }

    func isQueueReady(_ index: Int) -> Bool {
        places.indices.contains(index) && places[index].queue.withLock { $0 != nil }
    }

    /// Takes no more part in what the driver does until it resets the device.
    func fail(_ fault: VirtqueueFault) {
        activity.note(fault)
        let isToldOf = status.contains(.driverReady)
        add(.needsReset)
        if isToldOf { raise(VirtioInterruptCause.configurationChange) }
    }

    /// Forgets the driver. When it returns, the device uses nothing of the guest's memory.
    func reset() {
        for place in places { place.queue.withLock { $0 = nil } }
        agree(on: [])
        causes.store(0, ordering: .sequentiallyConsistent)
        statusBits.store(0, ordering: .sequentiallyConsistent)
    }
}

/// The way of a device's interrupts to the guest.
package enum VirtioInterrupt: Sendable {
    /// The interrupt line, edge-triggered: a call of the system for each edge.
    case line(InterruptLine)
    /// A bell that the machine has tied to the line: one call.
    case bell(Doorbell)

    func raise() {
        switch self {
        case .line(let line): line.pulse()
        case .bell(let bell): bell.ring()
        }
    }
}

/// What a device has done. It is written to by all threads that serve it, and read at any time.
package final class VirtioActivity: Sendable {
    private let accesses = Atomic<UInt64>(0)
    private let interrupts = Atomic<UInt64>(0)
    private let requests = Atomic<UInt64>(0)
    private let bytesRead = Atomic<UInt64>(0)
    private let bytesWritten = Atomic<UInt64>(0)
    private let fault = Locked<VirtqueueFault?>(nil)

    /// The exits by which the guest has accessed the device's registers.
    package var registerAccesses: UInt64 { accesses.load(ordering: .relaxed) }
    /// The interrupts that were raised.
    package var raisedInterrupts: UInt64 { interrupts.load(ordering: .relaxed) }
    /// The requests that were served.
    package var servedRequests: UInt64 { requests.load(ordering: .relaxed) }
    /// The bytes that the guest has handed over in requests.
    package var bytesFromGuest: UInt64 { bytesRead.load(ordering: .relaxed) }
    /// The bytes that the guest was given in requests.
    package var bytesToGuest: UInt64 { bytesWritten.load(ordering: .relaxed) }
    /// What the driver has last done wrong, if anything.
    package var lastFault: VirtqueueFault? { fault.withLock { $0 } }

    func noteAccess() { accesses.wrappingAdd(1, ordering: .relaxed) }
    func noteInterrupt() { interrupts.wrappingAdd(1, ordering: .relaxed) }

    func note(read: Int, written: Int) {
        requests.wrappingAdd(1, ordering: .relaxed)
        bytesRead.wrappingAdd(UInt64(truncatingIfNeeded: read), ordering: .relaxed)
        bytesWritten.wrappingAdd(UInt64(truncatingIfNeeded: written), ordering: .relaxed)
    }

    func note(_ fault: VirtqueueFault) { self.fault.withLock { $0 = fault } }
}
