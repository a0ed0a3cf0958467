import Memory

/// Where a driver has put the three parts of a queue, and how many elements it has.
package struct QueueLayout: Hashable, Sendable {
    package var size: UInt32 = 0
    package var descriptors: UInt64 = 0
    /// What the driver writes: the available ring.
    package var driver: UInt64 = 0
    /// What the device writes: the used ring.
    package var device: UInt64 = 0

    package init() {}
}

/// A split virtqueue, as its device sees it.
///
/// It is written for a guest that may do anything to the memory that the queue is made of, on several processors at once.
/// Every value is read once and checked before it is used. What the queue does for one request is bounded by its size.
///
/// Source: virtio 1.2, section 2.7 "Split Virtqueues".
package struct SplitQueue: Sendable {
    /// The bytes before the first element of a ring: flags and index.
    private static let ringHeader = 4
    /// The bytes of an element of the used ring.
    private static let usedElementSize = 8
    /// In the available ring's flags: the driver wants no interrupts.
    private static let noInterrupt: UInt16 = 1
    /// In the used ring's flags: the device wants no notifications.
    private static let noNotify: UInt16 = 1

    private let memory: GuestMemory
    /// How many elements it has.
    package let size: UInt16
    private let usesEventIndex: Bool
    private let mayBeIndirect: Bool
    private let descriptors: GuestWindow
    private let available: GuestWindow
    private let used: GuestWindow

    /// The index of the next element of the available ring, modulo 2^16.
    private var nextAvailable: UInt16 = 0
    /// The index of the next element of the used ring, modulo 2^16.
    private var nextUsed: UInt16 = 0
    /// How many elements from ``nextUsed`` on are written that the driver is not told of yet.
    private var noted: UInt16 = 0
    /// What ``nextUsed`` was when the driver was last asked whether it wants an interrupt.
    private var lastSignalled: UInt16 = 0
    /// The request that ``next()`` found.
    package private(set) var chain = DescriptorChain()

    /// A queue that a driver has set up.
    ///
    /// - Parameters:
    ///   - layout: Where its parts are.
    ///   - maximumSize: How many elements it may have.
    ///   - features: What was agreed upon.
    ///   - memory: The guest's memory.
    /// - Throws: ``VirtqueueFault`` when it cannot be.
    init(
        _ layout: QueueLayout, maximumSize: UInt16, features: VirtioFeatures, memory: GuestMemory
    ) throws(VirtqueueFault) {
        guard let size = UInt16(exactly: layout.size), size > 0, size <= maximumSize, size & (size &- 1) == 0
        else { throw .queueSize(layout.size) }
        self.size = size
        self.memory = memory
        usesEventIndex = features.contains(.eventIndex)
        mayBeIndirect = features.contains(.indirectDescriptors)
        let count = Int(size)
        // The event index behind each ring is a part of it whether it is used or not.
        descriptors = try Self.window(memory, layout.descriptors, size: 16 * count, alignment: 16)
        available = try Self.window(memory, layout.driver, size: Self.ringHeader + 2 * count + 2, alignment: 2)
        used = try Self.window(
            memory, layout.device, size: Self.ringHeader + Self.usedElementSize * count + 2, alignment: 4)
    }

    private static func window(
        _ memory: GuestMemory, _ address: UInt64, size: Int, alignment: UInt64
    ) throws(VirtqueueFault) -> GuestWindow {
        guard address % alignment == 0 else { throw .queueAddress(address) }
        do {
            return try GuestWindow(memory, at: GuestPhysicalAddress(address), size: size)
        } catch {
            throw .queueAddress(address)
        }
    }

    /// Takes the next request out of the queue: it is then ``chain``.
    ///
    /// - Returns: Whether there was one.
    package mutating func next() throws(VirtqueueFault) -> Bool {
        let waiting = available.loadShared16(at: 2) &- nextAvailable
        guard waiting > 0 else { return false }
        guard waiting <= size else { throw .availableIndex }
        let head = available.loadShared16(at: Self.ringHeader + 2 * place(nextAvailable))
        try chain.follow(from: head, in: descriptors, of: memory, mayBeIndirect: mayBeIndirect)
        nextAvailable &+= 1
        return true
    }

    /// Gives the request that ``next()`` found back to the driver.
    ///
    /// - Parameter written: How many bytes the device has written.
    package mutating func complete(written: Int) {
        note(written: written)
        publish()
    }

    /// Writes down that the request that ``next()`` found is given back, for ``publish()`` to tell.
    ///
    /// - Parameter written: How many bytes the device has written.
    package mutating func note(written: Int) {
        let element = Self.ringHeader + Self.usedElementSize * place(nextUsed &+ noted)
        used.store32(UInt32(chain.head), at: element)
        used.store32(UInt32(truncatingIfNeeded: written), at: element + 4)
        noted &+= 1
    }

    /// Gives all requests back that were written down, at once.
    package mutating func publish() {
        nextUsed &+= noted
        noted = 0
        used.storeShared16(nextUsed, at: 2)
    }

    /// Leaves the requests that ``next()`` found last, of which none was given back, to be found again.
    ///
    /// - Parameter count: How many.
    package mutating func putBack(_ count: UInt16) {
        nextAvailable &-= count
        noted = 0
    }

    /// Whether the driver wants an interrupt for what was given back since this was asked last.
    mutating func wantsInterrupt() -> Bool {
        guard nextUsed != lastSignalled else { return false }
        // The driver writes what it wants and then looks for more; the device has written more and now looks.
        GuestWindow.fence()
        let old = lastSignalled
        lastSignalled = nextUsed
        guard usesEventIndex else { return available.loadShared16(at: 0) & Self.noInterrupt == 0 }
        let event = available.loadShared16(at: Self.ringHeader + 2 * Int(size))
        // Whether the element that the driver waits for is among those given back. Source: section 2.7.7.2.
        return nextUsed &- event &- 1 < nextUsed &- old
    }

    /// Tells the driver that there is no need to notify: the device looks by itself.
    package func declineNotifications() {
        // With the event index, the one that was written last is passed already.
        if !usesEventIndex { used.storeShared16(Self.noNotify, at: 0) }
    }

    /// Tells the driver to notify of the next request.
    ///
    /// - Returns: Whether there is one already.
    package func requestNotification() -> Bool {
        if usesEventIndex {
            used.storeShared16(nextAvailable, at: Self.ringHeader + Self.usedElementSize * Int(size))
        } else {
            used.storeShared16(0, at: 0)
        }
        GuestWindow.fence()
        return available.loadShared16(at: 2) != nextAvailable
    }

    /// Where the element of an index stands in its ring.
    private func place(_ index: UInt16) -> Int {
        Int(index & (size &- 1))
    }
}
